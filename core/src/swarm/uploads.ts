// Answering what peers ask: a short queue for each link, and a bounded number of answers at once, so
// that each ends soon and can be passed on. Which link is next: the artifact with the highest priority,
// then who was served longest ago, near peers a little sooner, and those that are behind us sooner
// still, so that no host is left behind by all its peers; and sooner who asks for what few have, because
// all others wait for what that one can pass on. Some slots are for newcomers only: a swarm grows where
// those without anything get their first pieces.
//
// Invariants: a link has at most one active upload; each request ends by its last chunk or a reject.
import { uploadsQueuedPerLinkMax } from "../limits.ts";
import type { Bytes, ChunkIndex, Millis, PieceIndex } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import { hasBit } from "./bitfield.ts";
import type { RequestId, RequestReceived, UploadEnded } from "./events.ts";
import { headStartMsAt, numbersPerLink, servedMsAt } from "./link-numbers.ts";
import { isNewcomer, type Link, type Peer } from "./peers.ts";
import { removeAt } from "./remove-at.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";

export class Upload {
  readonly peer: Peer;
  readonly request: RequestId;
  readonly piece: PieceIndex;
  readonly firstChunk: ChunkIndex;
  readonly count: number;
  isNewcomers = false;
  isStopping = false;
  startedMs: Millis = 0;
  // Of the peer and its link: all that wait are compared each time a slot is free.
  readonly artifact: Artifact;
  readonly isNear: boolean;

  constructor(peer: Peer, piece: PieceIndex, { request, firstChunk, count }: RequestReceived) {
    this.peer = peer;
    this.request = request;
    this.piece = piece;
    this.firstChunk = firstChunk;
    this.count = count;
    this.artifact = peer.artifact;
    this.isNear = peer.link.isNear;
  }
}

/** An upload that has taken so many times the usual is slow. */
const slowTimes = 3;
/** Weight of the newest upload in what is usual. */
const newestWeight = 0.1;

export class Uploads {
  readonly #state: SwarmState;
  /** Links with something in their queue, and nothing being sent: whom a free slot may go to. */
  readonly #waiting: Link[] = [];
  /** What is first in the queue of each of them. */
  readonly #heads: Upload[] = [];
  /** Something changed since no link could be served last: a choice may come out otherwise. */
  #isDue = false;
  /** What is being sent, and since when, in the order it was started: looked at again and again. */
  readonly #active: Upload[] = [];
  readonly #startedMs: Float64Array;
  /** Some slot is free once this is long ago; Infinity while all are taken, and -Infinity while one isn't. */
  #slotMs: Millis = -Infinity;
  /** Of the active ones, those that aren't for newcomers. */
  #settledCount = 0;
  /** How long an upload takes; a slow one moves it little. */
  #usualMs: Millis = 0;
  /** What may be sent to other zones as of `#farMs`; below zero by what the last upload took beyond. */
  #farBytesLeft: Bytes;
  #farMs: Millis = 0;

  constructor(state: SwarmState) {
    this.#state = state;
    this.#farBytesLeft = state.config.farBurstBytes;
    this.#startedMs = new Float64Array(state.config.uploadSlots);
  }

  /** A peer has other pieces than before, or time brought budget: who is served may change by it. */
  touch(): void {
    this.#isDue = true;
  }

  /** Queues a request of a peer. "illegal" when no version of this protocol would send it. */
  request(
    link: Link,
    peer: Peer | undefined,
    input: RequestReceived,
  ): "queued" | "rejected" | "illegal" {
    const { request, firstChunk, count } = input;
    if (this.#find(link, request) !== undefined) return "illegal";
    if (peer === undefined || !peer.isLive) return this.#reject(link, request);
    const { pieces, offer } = peer.artifact;
    const end = firstChunk + count;
    if (count < 1 || end > pieces.chunksCount) return "illegal";
    const piece = pieces.pieceOf(firstChunk);
    if (pieces.pieceOf(end - 1) !== piece) return "illegal";
    const isOffered =
      hasBit(offer, piece) && (peer.shown === undefined || hasBit(peer.shown, piece));
    if (!isOffered || link.queue.length >= uploadsQueuedPerLinkMax) {
      return this.#reject(link, request);
    }
    link.queue.push(new Upload(peer, piece, input));
    this.#noteHead(link);
    this.#isDue = true;
    return "queued";
  }

  /** A request that has ended already is nothing to cancel: the two crossed. */
  cancel(link: Link, request: RequestId): void {
    const { active, queue } = link;
    if (active !== undefined && active.request === request) {
      this.#stop(link, active);
      return;
    }
    const place = queue.findIndex((upload) => upload.request === request);
    if (place < 0) return;
    queue.splice(place, 1);
    this.#noteHead(link);
    this.#isDue = true;
    this.#state.outputs.reject(link.id, request);
  }

  /** Rejects what a peer asked of an artifact that it may not have, or that this node left. */
  cancelOf({ link, artifact }: Peer): void {
    for (const upload of [...link.queue]) {
      if (upload.peer.artifact === artifact) this.cancel(link, upload.request);
    }
    if (link.active?.peer.artifact === artifact) this.#stop(link, link.active);
  }

  /** An active upload is over. Answers it, so that others can draw conclusions; undefined when unknown. */
  end(link: Link, { request, outcome }: UploadEnded, now: Millis): Upload | undefined {
    const { active } = link;
    if (active === undefined || active.request !== request) return undefined;
    this.#free(link);
    link.servedMs = now;
    if (outcome === "sent") {
      this.#learnUsual(now - active.startedMs);
      active.peer.artifact.bytesSent += bytesOf(active);
    } else {
      this.#state.outputs.reject(link.id, request);
    }
    return active;
  }

  closeLink(link: Link): void {
    this.#isDue = true;
    link.queue.length = 0;
    this.#noteHead(link);
    this.#free(link);
  }

  /** Starts what there are slots for. Calls nothing: the started uploads are answered by `next`. */
  next(now: Millis): Upload | undefined {
    if (!this.#isDue) return undefined;
    const hasSlot = now - this.#slotMs > slowTimes * this.#usualMs;
    const link = hasSlot && this.#waiting.length > 0 ? this.#choose(now) : undefined;
    const upload = link?.queue[0];
    if (link === undefined || upload === undefined) {
      this.#isDue = false;
      return undefined;
    }
    removeAt(link.queue, 0);
    link.active = upload;
    this.#noteHead(link);
    upload.startedMs = now;
    upload.isNewcomers = this.#isNewcomer(upload);
    this.#startedMs[this.#active.length] = now;
    this.#active.push(upload);
    this.#noteSlots();
    if (!upload.isNewcomers) this.#settledCount += 1;
    const { request, firstChunk, count } = upload;
    if (!link.isNear) this.#farBytesLeft -= bytesOf(upload);
    this.#state.outputs.upload(link.id, upload.peer.artifact.slot, request, firstChunk, count);
    return upload;
  }

  get usualMs(): Millis {
    return this.#usualMs;
  }

  /** For how many more there is room, those that wait counted. */
  room(now: Millis): number {
    const { uploadSlots, uploadSlotsQuick } = this.#state.config;
    const active = this.#active.length;
    const quick = active < uploadSlotsQuick ? active : this.#quickCount(now);
    return Math.min(uploadSlots - active, uploadSlotsQuick - quick) - this.#waiting.length;
  }

  /** Peers with no more pieces than this that are served beside such a one. */
  servedBeside(offeredCount: number): number {
    const { uploadsToEmpty, piecesPerUpload } = this.#state.config;
    return uploadsToEmpty + offeredCount / piecesPerUpload;
  }

  /** Of those that are served or wait, how many have no more pieces than this. */
  countBeside(offeredCount: number): number {
    return countUpTo(this.#active, offeredCount) + countUpTo(this.#heads, offeredCount);
  }

  /** How long a peer counts as having waited. */
  waitMs({ link, artifact, offeredCount }: Peer, now: Millis): Millis {
    return this.waitMsOf(link.place, artifact.piecesHeld - offeredCount, now);
  }

  /** The same, of the peer whose link is at this place, and which has so many pieces less than we. */
  waitMsOf(place: number, behind: number, now: Millis): Millis {
    const { linkNumbers, config } = this.#state;
    const at = place * numbersPerLink;
    const servedMs = linkNumbers.values[at + servedMsAt] as Millis;
    const nearMs = linkNumbers.values[at + headStartMsAt] as Millis;
    const behindMs = Math.max(0, behind) * config.behindHeadStartMs;
    return now - servedMs + nearMs + Math.min(behindMs, config.behindHeadStartMsMax);
  }

  /** Slots are for those that take no longer than usual, and a few for others besides. */
  #noteSlots(): void {
    const { uploadSlots, uploadSlotsQuick } = this.#state.config;
    const count = this.#active.length;
    if (count >= uploadSlots) this.#slotMs = Infinity;
    else if (count < uploadSlotsQuick) this.#slotMs = -Infinity;
    // Who began last is quick when anybody is.
    else this.#slotMs = this.#startedMs[count - uploadSlotsQuick] as Millis;
  }

  /** Uploads under way that haven't taken longer than usual: of those that began last, so many. */
  #quickCount(now: Millis): number {
    const count = this.#active.length;
    let first = count;
    while (first > 0 && now - (this.#startedMs[first - 1] as Millis) <= slowTimes * this.#usualMs) {
      first -= 1;
    }
    return count - first;
  }

  #learnUsual(tookMs: Millis): void {
    const usual = this.#usualMs;
    const counted = usual === 0 ? tookMs : Math.min(tookMs, slowTimes * usual);
    this.#usualMs = usual + (counted - usual) * (usual === 0 ? 1 : newestWeight);
  }

  #choose(now: Millis): Link | undefined {
    const { uploadSlots, uploadSlotsForNewcomers } = this.#state.config;
    const onlyNewcomers = this.#settledCount >= uploadSlots - uploadSlotsForNewcomers;
    const mayLeaveZone = this.mayLeaveZone(now);
    let best: Link | undefined;
    let bestPriority = -Infinity;
    let bestWaitMs = -Infinity;
    for (let at = 0; at < this.#heads.length; at += 1) {
      const first = this.#heads[at] as Upload;
      if (onlyNewcomers && !this.#isNewcomer(first)) continue;
      if (!first.isNear && !mayLeaveZone) {
        this.#state.timers.lower(timer.budget, this.#farDueMs());
        continue;
      }
      const { priority } = first.artifact;
      const waitMs = this.waitMs(first.peer, now) + this.#rareHeadStartMs(first);
      if (priority < bestPriority || (priority === bestPriority && waitMs <= bestWaitMs)) continue;
      // Last, because it looks at all that is being sent.
      if (this.#isCrowded(first)) continue;
      best = this.#waiting[at];
      bestPriority = priority;
      bestWaitMs = waitMs;
    }
    return best;
  }

  /** Whether enough peers that have no more than this one are being served. */
  #isCrowded({ peer: { offeredCount } }: Upload): boolean {
    const most = this.servedBeside(offeredCount);
    if (this.#active.length < most) return false;
    return countUpTo(this.#active, offeredCount) >= most;
  }

  /** A budget that fills again with time: an upload may begin while something is left. */
  mayLeaveZone(now: Millis): boolean {
    const { farBytesPerMs, farBurstBytes } = this.#state.config;
    if (farBytesPerMs === Infinity) return true;
    const filled = this.#farBytesLeft + farBytesPerMs * (now - this.#farMs);
    this.#farBytesLeft = Math.min(farBurstBytes, filled);
    this.#farMs = now;
    return this.#farBytesLeft > 0;
  }

  /** A moment after the budget is above zero again: fractions can fall a little short for ever. */
  #farDueMs(): Millis {
    return this.#farMs + 1 - this.#farBytesLeft / this.#state.config.farBytesPerMs;
  }

  #rareHeadStartMs({ artifact, piece }: Upload): Millis {
    const { rareHeadStartMs, rareShare } = this.#state.config;
    const copies = artifact.rarity.copies(piece);
    return rareHeadStartMs * Math.max(0, 1 - copies / (rareShare * artifact.peers.length));
  }

  #isNewcomer({ peer }: Upload): boolean {
    return isNewcomer(peer, this.#state.config);
  }

  #find(link: Link, request: RequestId): Upload | undefined {
    if (link.active?.request === request) return link.active;
    return link.queue.find((upload) => upload.request === request);
  }

  #reject(link: Link, request: RequestId): "rejected" {
    this.#state.outputs.reject(link.id, request);
    return "rejected";
  }

  #stop(link: Link, upload: Upload): void {
    if (upload.isStopping) return;
    upload.isStopping = true;
    this.#state.outputs.stopUpload(link.id, upload.request);
  }

  #free(link: Link): void {
    const { active } = link;
    if (active === undefined) return;
    if (!active.isNewcomers) this.#settledCount -= 1;
    const place = this.#active.indexOf(active);
    removeAt(this.#active, place);
    const starts = this.#startedMs;
    for (let at = place; at < this.#active.length; at += 1) starts[at] = starts[at + 1] as Millis;
    this.#noteSlots();
    this.#isDue = true;
    link.active = undefined;
    this.#noteHead(link);
  }

  /** Brings the list of those that wait up to date with a link. */
  #noteHead(link: Link): void {
    link.reconsider();
    const place = this.#waiting.indexOf(link);
    const head = link.active === undefined ? link.queue[0] : undefined;
    if (head !== undefined) {
      const at = place < 0 ? this.#waiting.push(link) - 1 : place;
      this.#heads[at] = head;
    } else if (place >= 0) {
      removeAt(this.#waiting, place);
      removeAt(this.#heads, place);
    }
  }
}

/** How many are of peers with no more pieces than this. */
function countUpTo(uploads: readonly Upload[], offeredCount: number): number {
  let count = 0;
  for (const { peer } of uploads) if (peer.offeredCount <= offeredCount) count += 1;
  return count;
}

function bytesOf({ peer, firstChunk, count }: Upload): Bytes {
  const { pieces } = peer.artifact;
  return pieces.chunkOffset(firstChunk + count) - pieces.chunkOffset(firstChunk);
}
