// Asking for chunks and dealing with what comes back: windows, endgame, stalls. What to ask for is
// picker.ts.
//
// Invariants: the bytes asked for and not yet stored stay within `downloadBytesOpenMax` and one run
// more; a chunk that isn't held is asked for somewhere, listed as to be asked for, or being stored.
import { requestsPerLinkMax } from "../limits.ts";
import { assert } from "../error.ts";
import type { Bytes, ChunkIndex, Millis } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import type { SwarmConfig } from "./config.ts";
import type { RequestId } from "./events.ts";
import { Patience } from "./patience.ts";
import type { Link, Peer } from "./peers.ts";
import {
  firstRepeatable,
  firstUnrequested,
  hasRoom,
  isDue,
  lateAt,
  lateRequest,
  nothing,
  rarestPiece,
  repeatableRun,
  unrequestedRun,
} from "./picker.ts";
import { removeAt } from "./remove-at.ts";
import type { Request } from "./requests.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";
import { Turns } from "./turns.ts";

/** Starved links are looked at again when an eighth of the memory is free: not at every chunk. */
const roomyShare = 7 / 8;

export class Downloads {
  readonly #state: SwarmState;
  readonly #patience: Patience;
  readonly #turns: Turns;

  constructor(state: SwarmState) {
    this.#state = state;
    this.#patience = new Patience(state.config);
    this.#turns = new Turns(state.config);
  }

  /** Asks the links that were touched, seeders and near peers first, until nothing changes. */
  pump(now: Millis): void {
    this.#askInTurn(now);
    const { dirty, bytesOpen, config } = this.#state;
    if (this.#state.hasStarved && bytesOpen < roomyBytes(config)) {
      this.#state.hasStarved = false;
      for (const link of this.#state.links.all) if (link.isStarved) this.#state.touch(link);
    }
    while (dirty.length > 0) {
      const link = takeFirst(dirty);
      link.isDirty = false;
      if (link.isOpen) this.#fill(link, now);
    }
  }

  #askInTurn(now: Millis): void {
    const turns = this.#turns;
    for (let link = turns.next(now); link !== undefined; link = turns.next(now))
      this.#fill(link, now);
    const dueMs = turns.dueMs(now);
    if (dueMs !== undefined) this.#state.timers.lower(timer.hunger, dueMs);
  }

  /** A chunk came. False when nobody asked this link for it now. */
  receive(link: Link, id: RequestId, chunk: ChunkIndex, now: Millis): boolean {
    const request = this.#state.requests.find(id);
    if (request === undefined || request.link !== link) return false;
    if (chunk !== request.firstChunk + request.arrived) return false;
    const { artifact } = request;
    const bytes = artifact.chunkBytes(chunk);
    if (request.arrived === 0) this.#patience.answered(now - request.sentMs);
    request.arrived += 1;
    if (request.arrived === request.count && !link.known.seeder) this.#turns.answered(link, now);
    link.progressMs = now;
    this.#state.fedMs = now;
    link.isStalled = false;
    link.window.deliver(bytes, now);
    this.#turns.deliver(bytes, now);
    if (!request.isCancelled) this.#close(request, bytes);
    if (artifact.isArrived(chunk) || artifact.isLeft) {
      if (!request.isCancelled) artifact.release(chunk);
      artifact.bytesDiscarded += bytes;
      this.#state.outputs.discard(link.id, id, chunk);
    } else {
      if (request.isCancelled) artifact.take(chunk);
      artifact.beginStoring(chunk, link.known.seeder);
      this.#state.bytesOpen += bytes;
      this.#state.outputs.accept(link.id, id, artifact.slot, chunk);
    }
    if (request.arrived === request.count) this.#end(request);
    this.#state.touch(link);
    return true;
  }

  /** A chunk is held now: requests that ask for nothing else any more are cancelled. */
  afterStored(artifact: Artifact, chunk: ChunkIndex): void {
    this.#state.bytesOpen -= artifact.chunkBytes(chunk);
    if (artifact.requestedCopies(chunk) === 0) return;
    for (const { link } of artifact.peers) {
      for (const request of link.requests) {
        if (request.artifact === artifact && covers(request, chunk) && isMoot(request)) {
          this.cancel(request);
        }
      }
    }
  }

  /** A chunk was refused: it is asked for again. */
  afterRefused(artifact: Artifact, chunk: ChunkIndex): void {
    this.#state.bytesOpen -= artifact.chunkBytes(chunk);
    this.#state.wakeAll(artifact);
  }

  /** The other side ended a request of ours. False when there is none. */
  reject(link: Link, id: RequestId): boolean {
    const request = this.#state.requests.find(id);
    if (request === undefined || request.link !== link) return false;
    this.#giveUp(request);
    this.#end(request);
    this.#state.touch(link);
    return true;
  }

  /** Says that a request isn't wanted any more; it stays open until the other side ends it. */
  cancel(request: Request): void {
    if (request.isCancelled) return;
    this.#giveUp(request);
    request.isCancelled = true;
    this.#state.outputs.cancel(request.link.id, request.id);
    this.#state.touch(request.link);
  }

  /** The link is gone. */
  closeLink(link: Link): void {
    for (const request of link.requests) {
      this.#giveUp(request);
      this.#state.requests.close(request);
    }
    link.requests.length = 0;
    this.#turns.leave(link);
  }

  /** Cancels what is open for an artifact that the peer, or this node, isn't a member of any more. */
  cancelOf(peer: Peer): void {
    for (const request of peer.link.requests) {
      if (request.artifact === peer.artifact) this.cancel(request);
    }
  }

  /** Moves what slow links were asked for elsewhere. Answers the links that have stalled for good. */
  watch(now: Millis): readonly Link[] {
    const { requestMs, linkMs } = this.#patience;
    const stalled: Link[] = [];
    for (const link of this.#state.links.all) {
      if (link.requests.length === 0) continue;
      // Sums, as the timer was set by: differences of fractions can come out a little smaller for ever.
      if (now >= link.progressMs + linkMs) {
        stalled.push(link);
        continue;
      }
      const isLate = now >= link.progressMs + requestMs;
      if (isLate && !link.isStalled) this.#stall(link, now);
      const dueMs = link.isStalled ? linkMs : requestMs;
      this.#state.timers.lower(timer.stall, link.progressMs + dueMs);
    }
    return stalled;
  }

  #fill(link: Link, now: Millis): void {
    link.isStarved = false;
    if (this.#mayAsk(link, now)) this.#askRoom(link, now);
    if (link.requests.length === 0 && this.#hasMemory(link)) this.#repeatLate(link, now);
  }

  /**
   * Seeders at once, hosts when they have room; others when nobody has had room for a while, and those
   * that never say whether they have.
   */
  #mayAsk(link: Link, now: Millis): boolean {
    const { config, timers } = this.#state;
    if (link.known.seeder || link.isInviting || !config.invites) return true;
    if (link.byPriority.every((peer) => peer.isExhausted || peer.artifact.isComplete)) return false;
    const hungryMs = this.#state.fedMs + config.uninvitedAfterMs;
    const silentMs = link.hasInvited ? Infinity : link.openedMs + config.uninvitedSilentMs;
    const askMs = Math.min(hungryMs, silentMs);
    if (askMs <= now) return true;
    timers.lower(timer.hunger, askMs);
    return false;
  }

  #askRoom(link: Link, now: Millis): void {
    // Hosts that have room are asked at once: others may take it.
    if (link.known.seeder && !isDue(link, this.#state.config)) return;
    // Who sends counts an answer as sent before it has come through here, and invites us again: that is
    // for when it has.
    if (!hasRoom(link, requestsPerLinkMax) || !this.#hasTurn(link, now)) return;
    while (hasRoom(link, requestsPerLinkMax) && !this.#state.requests.isFull) {
      if (!this.#hasMemory(link)) return;
      if (!this.#askRarest(link, now)) break;
    }
    link.isInviting = false;
  }

  /** Seeders, and hosts that are asked already, needn't wait. */
  #hasTurn(link: Link, now: Millis): boolean {
    return link.known.seeder || link.bytesOpen > 0 || this.#turns.has(link, now);
  }

  /** Whether what a link sends could be kept; a link that was told no is looked at again. */
  #hasMemory(link: Link): boolean {
    if (this.#state.bytesOpen < this.#bytesOpenMax(link)) return true;
    link.isStarved = true;
    this.#state.hasStarved = true;
    return false;
  }

  /** Some room is left to seeders: what one offers is offered to nobody else, and waits for us. */
  #bytesOpenMax(link: Link): Bytes {
    const { downloadBytesOpenMax, seederOpenShare } = this.#state.config;
    return link.known.seeder ? downloadBytesOpenMax : downloadBytesOpenMax * (1 - seederOpenShare);
  }

  #askRarest(link: Link, now: Millis): boolean {
    for (const peer of link.byPriority) {
      if (peer.isExhausted || !peer.isLive || peer.artifact.isPaused) continue;
      const { artifact } = peer;
      const piece = rarestPiece(peer, this.#state.config);
      if (piece === nothing) {
        peer.isExhausted = true;
        continue;
      }
      const first = firstUnrequested(artifact, piece);
      this.#ask(peer, first, unrequestedRun(artifact, first), now);
      return true;
    }
    return false;
  }

  #repeatLate(link: Link, now: Millis): void {
    const { config, timers } = this.#state;
    for (const peer of link.byPriority) {
      if (!peer.isLive || peer.artifact.isComplete || peer.artifact.isPaused) continue;
      const request = lateRequest(peer, config);
      if (request === undefined) {
        // Not yet: others may ask for the rest without this link hearing of it.
        if (peer.artifact.isAskable) timers.lower(timer.endgame, now + config.endgameMs);
        continue;
      }
      const dueMs = lateAt(request, config);
      if (dueMs > now) {
        timers.lower(timer.endgame, dueMs);
        continue;
      }
      const first = firstRepeatable(request, config);
      this.#ask(peer, first, repeatableRun(peer.artifact, first, config), now);
      return;
    }
  }

  #ask(peer: Peer, first: ChunkIndex, count: number, now: Millis): void {
    const { link, artifact } = peer;
    assert(count > 0, "a request asks for something");
    this.#state.fedMs = now;
    if (link.requests.length === 0) {
      link.window.begin(now);
      const { requestMs, linkMs } = this.#patience;
      // A stalled link has one more try, not the whole time again.
      const sinceMs = link.isStalled ? now - (linkMs - requestMs) : now;
      link.progressMs = Math.max(link.progressMs, sinceMs);
      this.#state.timers.lower(timer.stall, now + requestMs);
    }
    const request = this.#state.requests.open(link, artifact, first, count, now);
    link.requests.push(request);
    for (let chunk = first; chunk < first + count; chunk += 1) artifact.take(chunk);
    const bytes = runBytes(artifact, first, count);
    if (link.bytesOpen === 0 && !link.known.seeder) this.#turns.begin(link, now);
    link.bytesOpen += bytes;
    this.#state.bytesOpen += bytes;
    if (!link.known.seeder) artifact.bytesOpenAtHosts += bytes;
    this.#state.outputs.request(link.id, artifact.slot, request.id, first, count);
    if (!this.#state.config.logPieces) return;
    const { piece } = request;
    const peerId = link.known.peerId;
    const { cid } = artifact;
    this.#state.log({ type: "pieceRequested", at: now, artifact: cid, piece, peer: peerId, bytes });
  }

  #stall(link: Link, now: Millis): void {
    this.#state.logStall(link, link.requests.length, now);
    link.isStalled = true;
    for (const request of link.requests) this.cancel(request);
  }

  /** What hasn't arrived is to be asked for again. */
  #giveUp(request: Request): void {
    if (request.isCancelled) return;
    const { artifact, firstChunk, count, arrived } = request;
    let isWanted = false;
    for (let chunk = firstChunk + arrived; chunk < firstChunk + count; chunk += 1) {
      if (artifact.release(chunk)) isWanted = true;
    }
    this.#close(request, runBytes(artifact, firstChunk + arrived, count - arrived));
    if (isWanted) this.#state.wakeAll(artifact);
  }

  /** Bytes that the link isn't asked for any more. */
  #close({ link, artifact }: Request, bytes: Bytes): void {
    link.bytesOpen -= bytes;
    this.#state.bytesOpen -= bytes;
    if (link.known.seeder || bytes === 0) return;
    if (link.bytesOpen === 0) this.#turns.end(link);
    artifact.bytesOpenAtHosts -= bytes;
    if (artifact.bytesOpenAtHosts > 0) return;
    // Hosts deliver nothing now: what they have copies of may be asked of seeders.
    for (const peer of artifact.peers) if (peer.link.known.seeder) this.#state.wake(peer);
  }

  #end(request: Request): void {
    const { requests } = request.link;
    removeAt(requests, requests.indexOf(request));
    this.#state.requests.close(request);
  }
}

/** What may be open when starved links are looked at again. */
function roomyBytes({ downloadBytesOpenMax, seederOpenShare }: SwarmConfig): Bytes {
  return downloadBytesOpenMax * (1 - seederOpenShare) * roomyShare;
}

/** Seeders are asked first, because what one offers is offered to us alone, and then near hosts. */
function takeFirst(links: Link[]): Link {
  let first = links.pop() as Link;
  for (let at = 0; at < links.length; at += 1) {
    const other = links[at] as Link;
    const difference = turn(other) - turn(first);
    if (difference < 0 || (difference === 0 && other.id > first.id)) continue;
    links[at] = first;
    first = other;
  }
  return first;
}

function turn(link: Link): number {
  if (link.known.seeder) return 3;
  return link.isNear ? 2 : 1;
}

function runBytes(artifact: Artifact, first: ChunkIndex, count: number): Bytes {
  return artifact.pieces.chunkOffset(first + count) - artifact.pieces.chunkOffset(first);
}

function covers({ firstChunk, count, arrived }: Request, chunk: ChunkIndex): boolean {
  return chunk >= firstChunk + arrived && chunk < firstChunk + count;
}

/** Whether all that a request is still to bring is here already. */
function isMoot({ artifact, firstChunk, count, arrived, isCancelled }: Request): boolean {
  if (isCancelled) return false;
  for (let chunk = firstChunk + arrived; chunk < firstChunk + count; chunk += 1) {
    if (!artifact.isArrived(chunk)) return false;
  }
  return true;
}
