// What the machine remembers of a link, and of a peer in one artifact's swarm. Plain records that the
// other files of this folder read and write; a link has a peer record for each artifact that both may
// be members of.
import type { Bytes, Millis, PieceIndex } from "../units.ts";
import type { KnownPeer } from "../wire/messages.ts";
import type { Artifact } from "./artifact.ts";
import type { SwarmConfig } from "./config.ts";
import type { ArtifactSlot, LinkId } from "./events.ts";
import { headStartMsAt, type LinkNumbers, progressMsAt, servedMsAt } from "./link-numbers.ts";
import {
  exhaustedFlag,
  flagsAt,
  gonePlace,
  hasOfferFlag,
  hasOursFlag,
  lackedCountAt,
  numbersPerPeer,
  offeredCountAt,
  toldCountAt,
} from "./peer-numbers.ts";
import type { Request } from "./requests.ts";
import type { Upload } from "./uploads.ts";
import { Window } from "./window.ts";

export class Link {
  readonly id: LinkId;
  readonly known: KnownPeer;
  readonly isNear: boolean;
  /** Where its numbers are; another link's once this one is closed. */
  readonly place: number;
  readonly #numbers: LinkNumbers;
  readonly #peers: Map<ArtifactSlot, Peer> = new Map();
  /** Asked for last: mostly the next one, too. */
  #recent: Peer | undefined;
  /** The same peers, those of the artifact with the highest priority first. */
  readonly byPriority: Peer[] = [];

  isOpen = true;

  // What is asked of the other side.
  readonly window: Window;
  /** Open requests, those that we cancelled included, until the other side ends them. */
  readonly requests: Request[] = [];
  /** Asked for, not yet arrived and not cancelled. */
  bytesOpen: Bytes = 0;
  /** What it was asked for went elsewhere; until the next chunk it is asked for one run at a time. */
  isStalled = false;
  /** In the list of links to be asked for more. */
  isDirty = false;
  /** The other side has room for a request, and has said so since it was asked last. */
  isInviting = false;
  /** It has said so once: it does when it has room. */
  hasInvited = false;
  readonly openedMs: Millis;
  /** Would be asked for more if the node had not asked for all that its memory can take. */
  isStarved = false;
  /** Has room and waits for its turn. */
  isWaiting = false;
  /** Since when it works on what it was asked for first. */
  turnMs: Millis = 0;

  // What the other side asks.
  readonly queue: Upload[] = [];
  active: Upload | undefined;
  #invitedMs: Millis = -Infinity;
  #notInvitedBeforeMs: Millis = -Infinity;

  /** Since when neither side can want anything. */
  unneededSinceMs: Millis | undefined;

  constructor(
    id: LinkId,
    known: KnownPeer,
    config: SwarmConfig,
    numbers: LinkNumbers,
    now: Millis,
  ) {
    this.id = id;
    this.known = known;
    this.isNear = known.zone === config.zone;
    this.#numbers = numbers;
    this.place = numbers.take();
    if (this.isNear) numbers.set(this.place, headStartMsAt, config.nearHeadStartMs);
    this.window = new Window(config, numbers, this.place);
    this.openedMs = now;
  }

  /** The last chunk, or the first request since nothing was open. */
  get progressMs(): Millis {
    return this.#numbers.get(this.place, progressMsAt);
  }
  set progressMs(at: Millis) {
    this.#numbers.set(this.place, progressMsAt, at);
  }

  get servedMs(): Millis {
    return this.#numbers.get(this.place, servedMsAt);
  }
  set servedMs(at: Millis) {
    this.#numbers.set(this.place, servedMsAt, at);
  }

  /** When it was invited to ask; -Infinity while no invitation is open. */
  get invitedMs(): Millis {
    return this.#invitedMs;
  }
  set invitedMs(at: Millis) {
    this.#invitedMs = at;
    this.reconsider();
  }

  get notInvitedBeforeMs(): Millis {
    return this.#notInvitedBeforeMs;
  }
  set notInvitedBeforeMs(at: Millis) {
    this.#notInvitedBeforeMs = at;
    this.reconsider();
  }

  /** Whether it is to be invited may come out otherwise than when it was last looked at. */
  reconsider(): void {
    this.#numbers.reconsider(this.place);
  }

  /** Nothing but a change makes it one to be invited before. */
  passOver(untilMs: Millis): void {
    this.#numbers.uninvitedUntilMs[this.place] = untilMs;
  }

  peerOf(artifact: ArtifactSlot): Peer | undefined {
    if (this.#recent?.artifact.slot === artifact) return this.#recent;
    this.#recent = this.#peers.get(artifact);
    return this.#recent;
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  addPeer(peer: Peer): void {
    this.#peers.set(peer.artifact.slot, peer);
    let place = this.byPriority.length;
    const { priority } = peer.artifact;
    while (place > 0 && (this.byPriority[place - 1] as Peer).artifact.priority < priority) {
      place -= 1;
    }
    this.byPriority.splice(place, 0, peer);
    this.reconsider();
  }

  removePeer(peer: Peer): void {
    this.#peers.delete(peer.artifact.slot);
    this.#recent = undefined;
    this.byPriority.splice(this.byPriority.indexOf(peer), 1);
    this.reconsider();
  }
}

export class Peer {
  readonly link: Link;
  readonly artifact: Artifact;
  /** Where its numbers are; see peer-numbers.ts. */
  #place: number;

  /** What was announced before more than so many pieces were complete; see announcer.ts. */
  announced: PieceIndex | undefined;
  announcedAtCount = 0;

  // Only at a seeder: haves that wait to be sent, what this peer was shown, and how much of that it
  // doesn't have yet.
  pending: Uint32Array | undefined;
  pendingCount = 0;
  shown: Uint8Array | undefined;
  shownOpenCount = 0;
  shownOpenBytes: Bytes = 0;
  /** It was slow to take what it was offered last. */
  isTardy = false;

  /** Makes it one of the artifact's peers. */
  constructor(link: Link, artifact: Artifact) {
    this.link = link;
    this.artifact = artifact;
    this.#place = artifact.addPeer(this);
  }

  get place(): number {
    return this.#place;
  }

  /** Its place may be another's now: all its numbers are zero from here on. */
  leavePlace(): void {
    this.#place = gonePlace;
  }

  /** Both sides know what the other offers. */
  get isLive(): boolean {
    const live = hasOursFlag | hasOfferFlag;
    return (this.#get(flagsAt) & live) === live;
  }

  /** Whether our bitfield went out since either side joined last. */
  get hasOurs(): boolean {
    return this.#has(hasOursFlag);
  }
  set hasOurs(is: boolean) {
    this.#flag(hasOursFlag, is);
  }

  /** Whether its bitfield came. */
  get hasOffer(): boolean {
    return this.#has(hasOfferFlag);
  }
  set hasOffer(is: boolean) {
    this.#flag(hasOfferFlag, is);
  }

  /** Nothing that it offers is to be asked for, as of the last look. */
  get isExhausted(): boolean {
    return this.#has(exhaustedFlag);
  }
  set isExhausted(is: boolean) {
    this.#flag(exhaustedFlag, is);
  }

  /** Whether it offers a piece: false for one that the artifact doesn't have. */
  offers(piece: PieceIndex): boolean {
    return this.artifact.isOffered(piece, this.#place);
  }

  get offeredCount(): number {
    return this.#get(offeredCountAt);
  }
  set offeredCount(count: number) {
    this.#set(offeredCountAt, count);
  }

  /** How many pieces we can serve that it doesn't offer, those it hasn't heard of included. */
  get lackedCount(): number {
    return this.#get(lackedCountAt);
  }
  set lackedCount(count: number) {
    if (this.lackedCount === 0) this.link.reconsider();
    this.#set(lackedCountAt, count);
  }

  /** How many of the pieces that became complete here it was told of. */
  get toldCount(): number {
    return this.#get(toldCountAt);
  }
  set toldCount(count: number) {
    this.#set(toldCountAt, count);
  }

  #get(which: number): number {
    return this.artifact.peerNumbers.ints[this.#place * numbersPerPeer + which] as number;
  }

  #set(which: number, value: number): void {
    if (this.#place === gonePlace) return;
    this.artifact.peerNumbers.ints[this.#place * numbersPerPeer + which] = value;
  }

  #has(flag: number): boolean {
    return (this.#get(flagsAt) & flag) !== 0;
  }

  #flag(flag: number, is: boolean): void {
    const flags = this.#get(flagsAt);
    this.#set(flagsAt, is ? flags | flag : flags & ~flag);
    if (flag !== exhaustedFlag) this.link.reconsider();
  }
}

/** Whether a peer offers too little yet for others to ask it for much. */
export function isNewcomer({ offeredCount }: Peer, { newcomerPieces }: SwarmConfig): boolean {
  return offeredCount < newcomerPieces;
}
