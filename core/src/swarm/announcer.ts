// Telling peers what this node can serve now. An invitation takes along what waits for its peer, and
// without one nobody asks, so that a have can wait for company: for `havesTogether` of them, or for a
// while. It tells who lacks the piece what it will be invited for, and who has it, so that neither
// invites the other in vain, and lets both count copies; who has it can wait longer.
import { havesPerMessageMax } from "../limits.ts";
import type { Millis, PieceIndex } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import {
  flagsAt,
  hasOfferFlag,
  hasOursFlag,
  lackedCountAt,
  numbersPerPeer,
  toldCountAt,
} from "./peer-numbers.ts";
import type { Peer } from "./peers.ts";
import type { SwarmState } from "./state.ts";
import { timer } from "./timers.ts";

export class Announcer {
  readonly #state: SwarmState;

  constructor(state: SwarmState) {
    this.#state = state;
  }

  /** A piece became complete: everybody who has our bitfield hears of it, sooner or later. */
  announce(artifact: Artifact, piece: PieceIndex, now: Millis): void {
    const { haveDelayMs, haveDelayKnownMs, havesTogether } = this.#state.config;
    artifact.noteCompleted(piece);
    const { peers, peerPlaces, peerNumbers, completedCount } = artifact;
    const { ints, dueMs } = peerNumbers;
    // By their numbers: most peers are only counted for.
    for (let index = 0; index < peerPlaces.length; index += 1) {
      const place = peerPlaces[index] as number;
      const at = place * numbersPerPeer;
      const flags = ints[at + flagsAt] as number;
      const lacks = (flags & hasOfferFlag) !== 0 && !artifact.isOffered(piece, place);
      if (lacks) {
        const lacked = ints[at + lackedCountAt] as number;
        if (lacked === 0) (peers[index] as Peer).link.reconsider();
        ints[at + lackedCountAt] = lacked + 1;
      }
      if ((flags & hasOursFlag) === 0) continue;
      const delayMs = lacks ? haveDelayMs : haveDelayKnownMs;
      if (delayMs === 0 || completedCount - (ints[at + toldCountAt] as number) >= havesTogether) {
        this.flush(peers[index] as Peer);
        continue;
      }
      if (now + delayMs < (dueMs[place] as number)) dueMs[place] = now + delayMs;
      this.#state.timers.lower(timer.haves, dueMs[place] as number);
    }
  }

  /** Tells a peer, with what waits for it, that it may ask: by a have that it knows of already. */
  invite(peer: Peer): void {
    const { artifact } = peer;
    let piece = lastAnnounced(peer);
    // What can't be read any more isn't announced again.
    if (piece === undefined || !artifact.serves(piece)) {
      const { count } = artifact.pieces;
      piece = 0;
      while (piece < count && !artifact.serves(piece)) piece += 1;
      if (piece === count) return;
      peer.announced = piece;
      peer.announcedAtCount = artifact.completedCount;
    }
    this.flush(peer, piece);
  }

  /** Adds a have for one peer; `flush` sends it. Only at a seeder. */
  append(peer: Peer, piece: PieceIndex): void {
    if (peer.pendingCount === havesPerMessageMax) this.flush(peer);
    let buffer = peer.pending ?? this.#state.outputs.spareBuffer();
    if (peer.pendingCount === buffer.length) {
      const larger = new Uint32Array(buffer.length * 2);
      larger.set(buffer);
      buffer = larger;
    }
    buffer[peer.pendingCount] = piece;
    peer.pending = buffer;
    peer.pendingCount += 1;
  }

  /** Sends what waits for a peer, and a piece by which it is invited. */
  flush(peer: Peer, invitation?: PieceIndex): void {
    const { pending, pendingCount, link, artifact } = peer;
    const { outputs } = this.#state;
    if (pending !== undefined) outputs.haves(link.id, artifact.slot, pending, pendingCount);
    let { toldCount } = peer;
    const { completed, completedCount, slot } = artifact;
    while (completedCount - toldCount >= havesPerMessageMax) {
      const end = toldCount + havesPerMessageMax;
      outputs.completed(link.id, slot, completed, toldCount, end);
      toldCount = end;
    }
    if (toldCount < completedCount || invitation !== undefined) {
      outputs.completed(link.id, slot, completed, toldCount, completedCount, invitation);
    }
    this.forget(peer);
  }

  /** Sends what is due. */
  flushDue(now: Millis): void {
    const { artifacts, timers } = this.#state;
    for (const { peers, peerPlaces, peerNumbers } of artifacts.values()) {
      const { dueMs } = peerNumbers;
      for (let index = 0; index < peerPlaces.length; index += 1) {
        const at = dueMs[peerPlaces[index] as number] as number;
        if (at <= now) this.flush(peers[index] as Peer);
        else if (at < Infinity) timers.lower(timer.haves, at);
      }
    }
  }

  /** What waits for a peer isn't to be sent any more: it is gone, or gets a whole bitfield. */
  forget(peer: Peer): void {
    peer.pending = undefined;
    peer.pendingCount = 0;
    peer.toldCount = peer.artifact.completedCount;
    peer.artifact.peerNumbers.setDue(peer.place, Infinity);
  }
}

/** The piece that was announced last, sent or waiting; undefined when none was since the bitfield. */
function lastAnnounced({ artifact, announced, announcedAtCount }: Peer): PieceIndex | undefined {
  const { completed, completedCount } = artifact;
  return completedCount > announcedAtCount ? completed[completedCount - 1] : announced;
}
