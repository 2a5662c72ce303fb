// How a seeder makes its bytes count: it keeps a few pieces on offer, each to one link, those with the
// fewest copies first, and links take turns; when a peer has got one, from here or elsewhere, the next
// piece is offered to whose turn it is. So every piece goes out once before any goes out twice, without
// a word to the protocol: to a peer, a seeder looks like a host that gets pieces just in time.
// Nobody starves: every peer that lacks pieces has its turn, also when no other peer passes anything
// on; what a peer is slow to take stops counting as on offer after a while. One that has nothing is offered
// one piece as soon as it comes, were it a second copy: it has nobody else to ask until others have got
// theirs and invite it, and of an artifact of a few pieces the first two to come are offered all.
//
// Chosen over answering "any piece" requests (the asker knows best what it lacks) and over refusing
// what went out already (a refused asker has lost a round trip).
//
// Invariants: `copies` counts for each piece the peers that have it or are shown it; a peer's
// `shownOpen…` count what it was shown and doesn't have.
import type { Bytes, Millis, PieceIndex } from "../units.ts";
import type { Announcer } from "./announcer.ts";
import type { Artifact } from "./artifact.ts";
import { bitfieldOf, hasBit, setBit } from "./bitfield.ts";
import { isNewcomer, type Peer } from "./peers.ts";
import { RarityOrder } from "./rarity-order.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";

/** With peers that have nothing, so many times as much may be on offer. */
const emptyHandedTimes = 2;

/** Tardy is who takes so many times as long as usual for what it was offered, or longer than an offer counts. */
const tardyTimes = 3;
/** Weight of the newest offer in what is usual. */
const newestWeight = 0.1;
/**
 * Offers that are open at a time with those who were tardy last. What they have first all others have late, and the
 * uploads to them would fill every slot: a tenth of the hosts at a tenth of the rate kept a seeder at half of its
 * own for seconds, and all hosts with it.
 */
const tardyOffersMax = 2;
/** And these count for no longer than so many times as long as others: some never take anything. */
const tardyOfferTimes = 5;

/** A piece that was offered to a peer. */
interface Offer {
  readonly peer: Peer;
  readonly piece: PieceIndex;
  readonly sinceMs: Millis;
}

/** What a seeder knows of one artifact's swarm. */
interface Deal {
  readonly copies: RarityOrder;
  /** Of late, and not yet taken when last looked at. */
  offers: Offer[];
  /** Not of late, and not yet taken: those that still count for the tardy. */
  tardy: Offer[];
  /** What it takes lately until a peer has got what it was offered. */
  usualMs: Millis;
  /** Peers that have nothing and were offered nothing. */
  readonly emptyHanded: Set<Peer>;
  /** Whose turn it is, as a place in the artifact's peers. */
  turn: number;
}

export class Handout {
  readonly #state: SwarmState;
  readonly #announcer: Announcer;
  readonly #deals: Map<Artifact, Deal> = new Map();
  /** Artifacts of which something may be offered now. */
  readonly #due: Set<Artifact> = new Set();

  constructor(state: SwarmState, announcer: Announcer) {
    this.#state = state;
    this.#announcer = announcer;
  }

  /** A peer has an empty bitfield of ours, and we have its own. */
  begin(peer: Peer): void {
    peer.shown = bitfieldOf(peer.artifact.pieces.count);
    const { copies, emptyHanded } = this.#dealOf(peer.artifact);
    this.#forEach(peer, (piece) => copies.increment(piece));
    if (peer.offeredCount === 0) emptyHanded.add(peer);
    this.touch(peer);
  }

  /** A peer has a piece now. Call before it offers it. */
  gain(peer: Peer, piece: PieceIndex): void {
    if (peer.shown === undefined) return;
    const { copies, emptyHanded } = this.#dealOf(peer.artifact);
    emptyHanded.delete(peer);
    if (!hasBit(peer.shown, piece)) {
      copies.increment(piece);
      return;
    }
    peer.shownOpenCount -= 1;
    peer.shownOpenBytes -= this.#bytes(peer, piece);
  }

  /** A peer doesn't have a piece after all. Call once it doesn't offer it. */
  lose(peer: Peer, piece: PieceIndex): void {
    if (peer.shown === undefined) return;
    if (!hasBit(peer.shown, piece)) {
      this.#dealOf(peer.artifact).copies.decrement(piece);
      return;
    }
    peer.shownOpenCount += 1;
    peer.shownOpenBytes += this.#bytes(peer, piece);
  }

  /** Something changed for a peer: the next `deal` looks at its artifact. */
  touch(peer: Peer): void {
    if (peer.shown !== undefined) this.#due.add(peer.artifact);
  }

  /** All offers are looked at again: some may be too old to count. */
  touchAll(): void {
    for (const artifact of this.#deals.keys()) this.#due.add(artifact);
  }

  /** Offers what there is room for. */
  deal(now: Millis): void {
    if (this.#due.size === 0) return;
    for (const artifact of this.#due) this.#dealOut(artifact, now);
    this.#due.clear();
  }

  /** A peer is gone, or begins again. */
  end(peer: Peer): void {
    if (peer.shown === undefined) return;
    const { copies, emptyHanded } = this.#dealOf(peer.artifact);
    this.#forEach(peer, (piece) => copies.decrement(piece));
    emptyHanded.delete(peer);
    this.touch(peer);
    peer.shown = undefined;
    peer.shownOpenCount = 0;
    peer.shownOpenBytes = 0;
  }

  /** A piece can be served now. */
  add(artifact: Artifact, piece: PieceIndex): void {
    this.#dealOf(artifact).copies.add(piece);
    this.#due.add(artifact);
  }

  /** A piece can't be served any more. */
  withdraw(artifact: Artifact, piece: PieceIndex): void {
    this.#dealOf(artifact).copies.remove(piece);
  }

  forget(artifact: Artifact): void {
    this.#deals.delete(artifact);
    this.#due.delete(artifact);
  }

  #dealOut(artifact: Artifact, now: Millis): void {
    const { offeredBytes, offeredPieces, offeredMs } = this.#state.config;
    const deal = this.#dealOf(artifact);
    this.#judge(deal, now);
    let bytes = 0;
    for (const { piece } of deal.offers) bytes += artifact.pieces.bytes(piece);
    while (bytes < offeredBytes || deal.offers.length < offeredPieces) {
      const offer = this.#offerNext(artifact, deal, now);
      if (offer === undefined) break;
      deal.offers.push(offer);
      bytes += artifact.pieces.bytes(offer.piece);
    }
    for (const peer of deal.emptyHanded) {
      if (deal.offers.length >= emptyHandedTimes * offeredPieces) break;
      const piece = this.#rarestFor(peer, deal.copies);
      if (piece === undefined) continue;
      deal.offers.push(this.#offer(deal, peer, piece, now));
    }
    for (const { peer } of deal.offers) if (peer.pendingCount > 0) this.#announcer.flush(peer);
    const oldest = deal.offers[0];
    if (oldest !== undefined) this.#state.timers.lower(timer.offers, oldest.sinceMs + offeredMs);
  }

  /** Which offers still count, and what those that don't say about their peers. */
  #judge(deal: Deal, now: Millis): void {
    const { offeredMs } = this.#state.config;
    const counted: Offer[] = [];
    for (const offer of deal.offers) {
      const tookMs = now - offer.sinceMs;
      if (!isOpen(offer)) {
        const { usualMs } = deal;
        offer.peer.isTardy = usualMs > 0 && tookMs > tardyTimes * usualMs;
        const learned = usualMs === 0 ? tookMs : Math.min(tookMs, tardyTimes * usualMs);
        deal.usualMs += (learned - usualMs) * (usualMs === 0 ? 1 : newestWeight);
      } else if (now < offer.sinceMs + offeredMs) {
        counted.push(offer);
      } else {
        offer.peer.isTardy = true;
        deal.tardy.push(offer);
      }
    }
    deal.offers = counted;
    const tardyMs = tardyOfferTimes * offeredMs;
    deal.tardy = deal.tardy.filter((offer) => isOpen(offer) && now < offer.sinceMs + tardyMs);
    for (const { sinceMs } of deal.tardy) this.#state.timers.lower(timer.offers, sinceMs + tardyMs);
  }

  /** Offers a piece to the next peer in turn that lacks one and doesn't have enough to ask for. */
  #offerNext({ peers }: Artifact, deal: Deal, now: Millis): Offer | undefined {
    // What went to nobody yet goes first, to its end: what is sent beside it would only make it late.
    const firstsOpen = deal.offers.some(({ piece }) => deal.copies.copies(piece) === 1);
    const tardyCount = deal.tardy.length + deal.offers.filter(({ peer }) => peer.isTardy).length;
    for (let tries = 0; tries < peers.length; tries += 1) {
      deal.turn = (deal.turn + 1) % peers.length;
      const peer = peers[deal.turn] as Peer;
      if (peer.isTardy && tardyCount >= tardyOffersMax) continue;
      const piece = this.#wantsMore(peer) ? this.#rarestFor(peer, deal.copies) : undefined;
      if (piece === undefined) continue;
      if (firstsOpen && deal.copies.copies(piece) > 0) continue;
      return this.#offer(deal, peer, piece, now);
    }
    return undefined;
  }

  #offer(deal: Deal, peer: Peer, piece: PieceIndex, now: Millis): Offer {
    deal.emptyHanded.delete(peer);
    deal.copies.increment(piece);
    if (peer.shown !== undefined) setBit(peer.shown, piece);
    peer.shownOpenCount += 1;
    peer.shownOpenBytes += this.#bytes(peer, piece);
    this.#announcer.append(peer, piece);
    return { peer, piece, sinceMs: now };
  }

  #rarestFor(peer: Peer, copies: RarityOrder): PieceIndex | undefined {
    for (let place = 0; place < copies.size; place += 1) {
      const piece = copies.at(place);
      if (!this.#knows(peer, piece)) return piece;
    }
    return undefined;
  }

  #wantsMore(peer: Peer): boolean {
    const { shown, shownOpenCount, shownOpenBytes, artifact } = peer;
    if (shown === undefined || !peer.hasOffer) return false;
    if (peer.offeredCount === artifact.pieces.count) return false;
    const { offeredPieces, offeredPiecesPerLink, offeredBytesPerLink } = this.#state.config;
    // Where few share what is on offer, each has more of it: a fast link would have taken two pieces before it
    // hears of the next. Not at the start, when others are about to come.
    const share = isNewcomer(peer, this.#state.config) ? 0 : offeredPieces / artifact.peers.length;
    if (shownOpenCount < Math.max(offeredPiecesPerLink, share)) return true;
    return shownOpenBytes < offeredBytesPerLink;
  }

  #knows(peer: Peer, piece: PieceIndex): boolean {
    if (peer.shown !== undefined && hasBit(peer.shown, piece)) return true;
    return peer.offers(piece);
  }

  #forEach(peer: Peer, visit: (piece: PieceIndex) => void): void {
    for (let piece = 0; piece < peer.artifact.pieces.count; piece += 1) {
      if (this.#knows(peer, piece)) visit(piece);
    }
  }

  #bytes(peer: Peer, piece: PieceIndex): Bytes {
    return peer.artifact.pieces.bytes(piece);
  }

  #dealOf(artifact: Artifact): Deal {
    const known = this.#deals.get(artifact);
    if (known !== undefined) return known;
    const copies = new RarityOrder(artifact.pieces.count, this.#state.prng.child(artifact.slot));
    for (let piece = 0; piece < artifact.pieces.count; piece += 1) {
      if (hasBit(artifact.offer, piece)) copies.add(piece);
    }
    const deal = {
      copies,
      offers: [],
      tardy: [],
      usualMs: 0,
      emptyHanded: new Set<Peer>(),
      turn: 0,
    };
    this.#deals.set(artifact, deal);
    return deal;
  }
}

/** Whether the peer is still there, and without the piece. */
function isOpen({ peer, piece }: Offer): boolean {
  const { shown } = peer;
  if (shown === undefined || !peer.hasOffer) return false;
  return hasBit(shown, piece) && !peer.offers(piece);
}
