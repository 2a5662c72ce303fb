// Who is a member of what: the exchange of join, bitfield, haves and leave on each link, and what
// follows for the counts of copies. A peer record exists while the peer's passport allows the artifact.
import { peersPerMessageMax } from "../limits.ts";
import type { Millis, PieceIndex } from "../units.ts";
import type { Announcer } from "./announcer.ts";
import type { Artifact } from "./artifact.ts";
import { bitfieldOf, countBeyond, hasBit, isBitfieldOf } from "./bitfield.ts";
import type { Downloads } from "./downloads.ts";
import type { HavesReceived } from "./events.ts";
import type { Handout } from "./handout.ts";
import type { Invitations } from "./invitations.ts";
import { type Link, Peer } from "./peers.ts";
import type { SwarmState } from "./state.ts";
import type { Uploads } from "./uploads.ts";

export interface MembersDeps {
  readonly state: SwarmState;
  readonly downloads: Downloads;
  readonly uploads: Uploads;
  readonly announcer: Announcer;
  readonly handout: Handout;
  readonly invitations: Invitations;
}

export class Members {
  readonly #state: SwarmState;
  readonly #downloads: Downloads;
  readonly #uploads: Uploads;
  readonly #announcer: Announcer;
  readonly #handout: Handout;
  readonly #invitations: Invitations;

  constructor({ state, downloads, uploads, announcer, handout, invitations }: MembersDeps) {
    this.#state = state;
    this.#downloads = downloads;
    this.#uploads = uploads;
    this.#announcer = announcer;
    this.#handout = handout;
    this.#invitations = invitations;
  }

  /** The peer may be a member. No-op when that is known. */
  allow(link: Link, artifact: Artifact): void {
    if (link.peerOf(artifact.slot) !== undefined) return;
    const peer = new Peer(link, artifact);
    link.addPeer(peer);
    this.#state.outputs.push({ type: "join", link: link.id, artifact: artifact.slot });
  }

  /** The peer may not be a member any more, or this node leaves: nothing more is given or taken. */
  part(peer: Peer): void {
    const { link, artifact } = peer;
    this.leave(peer);
    link.removePeer(peer);
    artifact.removePeer(peer);
    this.#state.outputs.push({ type: "leave", link: link.id, artifact: artifact.slot });
  }

  /** The peer joined, maybe again. */
  join(peer: Peer): void {
    this.#forgetOffer(peer);
    this.#sendBitfield(peer);
  }

  /** The peer left; it may join again. */
  leave(peer: Peer): void {
    this.#downloads.cancelOf(peer);
    this.#uploads.cancelOf(peer);
    this.#forgetOffer(peer);
    this.#announcer.forget(peer);
    peer.hasOurs = false;
  }

  /** The link of a peer is gone. */
  unlink(peer: Peer): void {
    this.#forgetOffer(peer);
    this.#announcer.forget(peer);
    peer.artifact.removePeer(peer);
  }

  /** What the peer offers, all of it. False for a field that isn't of this artifact. */
  setOffer(peer: Peer, pieces: Uint8Array): boolean {
    const { artifact } = peer;
    if (!isBitfieldOf(pieces, artifact.pieces.count)) return false;
    const isFirst = !peer.hasOffer;
    this.#forgetOffer(peer);
    peer.hasOffer = true;
    for (let piece = 0; piece < artifact.pieces.count; piece += 1) {
      // Many have nothing yet: eight pieces at a time.
      if (pieces[piece >> 3] === 0) piece |= 7;
      if (!hasBit(pieces, piece)) continue;
      artifact.gainOffer(piece, peer.place);
      peer.offeredCount += 1;
    }
    peer.lackedCount = countBeyond(artifact.offer, pieces);
    this.#touchUploads();
    if (!peer.hasOurs) this.#sendBitfield(peer);
    if (this.#state.config.seeder) this.#handout.begin(peer);
    if (isFirst) this.#tellPeers(peer);
    this.#state.wake(peer);
    return true;
  }

  /** What the peer offers besides. False when a piece isn't of this artifact, or no bitfield came. */
  addOffers(peer: Peer, { pieces, count }: HavesReceived): boolean {
    const { artifact } = peer;
    if (!peer.hasOffer) return true;
    let isWanted = false;
    for (let index = 0; index < count; index += 1) {
      const piece = pieces[index] as number;
      if (piece >= artifact.pieces.count) return false;
      if (peer.offers(piece)) {
        peer.link.isInviting = true;
        peer.link.hasInvited = true;
      }
      this.gain(peer, piece);
      if (artifact.unrequested(piece) > 0) isWanted = true;
    }
    if (isWanted) this.#state.wake(peer);
    // Something to repeat at the end, when everything is asked for already.
    else if (!artifact.isComplete) this.#state.touch(peer.link);
    this.#handout.touch(peer);
    return true;
  }

  /** The peer has one more piece. */
  gain(peer: Peer, piece: PieceIndex): void {
    const { artifact } = peer;
    if (!peer.hasOffer || peer.offers(piece)) return;
    this.#handout.gain(peer, piece);
    artifact.gainOffer(piece, peer.place);
    peer.offeredCount += 1;
    if (artifact.serves(piece)) peer.lackedCount -= 1;
    this.#touchUploads();
  }

  /** The peer doesn't serve a piece that it offered. */
  lose(peer: Peer, piece: PieceIndex): void {
    const { artifact } = peer;
    if (!peer.hasOffer || !peer.offers(piece)) return;
    artifact.loseOffer(piece, peer.place);
    this.#handout.lose(peer, piece);
    peer.offeredCount -= 1;
    if (artifact.serves(piece)) peer.lackedCount += 1;
    this.#touchUploads();
  }

  /** A piece can't be served any more. */
  withdraw(artifact: Artifact, piece: PieceIndex): void {
    if (!artifact.serves(piece)) return;
    artifact.withdraw(piece);
    for (const peer of artifact.peers) {
      if (peer.hasOffer && !peer.offers(piece)) peer.lackedCount -= 1;
    }
    this.#handout.withdraw(artifact, piece);
  }

  /** Since when neither side of a link can want anything, as of now. */
  needless(link: Link, now: Millis): Millis | undefined {
    link.unneededSinceMs = isNeeded(link) ? undefined : (link.unneededSinceMs ?? now);
    return link.unneededSinceMs;
  }

  /** Who is served, and who is invited, may change by what a peer has. */
  #touchUploads(): void {
    this.#uploads.touch();
    this.#invitations.touch();
  }

  #sendBitfield(peer: Peer): void {
    const { link, artifact } = peer;
    this.#announcer.forget(peer);
    peer.announced = undefined;
    peer.announcedAtCount = artifact.completedCount;
    peer.hasOurs = true;
    const { offer, slot } = artifact;
    // A seeder shows each peer its pieces one by one.
    const seeds = this.#state.config.seeder;
    const pieces = seeds ? bitfieldOf(artifact.pieces.count) : offer.slice();
    this.#state.outputs.push({ type: "bitfield", link: link.id, artifact: slot, pieces });
  }

  #forgetOffer(peer: Peer): void {
    const { artifact } = peer;
    this.#handout.end(peer);
    if (!peer.hasOffer) return;
    for (let piece = 0; piece < artifact.pieces.count; piece += 1) {
      if (peer.offers(piece)) artifact.loseOffer(piece, peer.place);
    }
    peer.hasOffer = false;
    peer.offeredCount = 0;
    peer.lackedCount = 0;
    peer.isExhausted = false;
  }

  /** A newcomer hears of other members that can be dialed. */
  #tellPeers(peer: Peer): void {
    const { artifact, link } = peer;
    // Of a peer that died and came back, the old link may not have ended yet: nobody hears of itself.
    const { peerId } = link.known;
    const others = artifact.peers.filter(
      ({ link: { known } }) => known.peerId !== peerId && known.addresses.length > 0,
    );
    const sample = [];
    while (others.length > 0 && sample.length < peersPerMessageMax) {
      const place = this.#state.prng.below(others.length);
      const [other] = others.splice(place, 1);
      if (other !== undefined) sample.push(other.link.known);
    }
    if (sample.length === 0) return;
    const { outputs } = this.#state;
    outputs.push({ type: "peers", link: link.id, artifact: artifact.slot, peers: sample });
  }
}

function isNeeded(link: Link): boolean {
  for (const peer of link.peers) {
    if (!peer.isLive) continue;
    const theirsComplete = peer.offeredCount === peer.artifact.pieces.count;
    if (!theirsComplete || !peer.artifact.isComplete) return true;
  }
  return false;
}
