// Telling peers what this node can serve now. An invitation takes along what waits for its peer, and
// without one nobody asks, so that a have can wait for company: for `havesTogether` of them, or for a
// while. It tells who lacks the piece what it will be invited for, and who has it, so that neither
// invites the other in vain, and lets both count copies; who has it can wait longer.
import { havesPerMessageMax } from "../limits.ts";
import type { Millis, PieceIndex } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import { hasBit } from "./bitfield.ts";
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
    for (const peer of artifact.peers) {
      const lacks = peer.offered !== undefined && !hasBit(peer.offered, piece);
      if (lacks) peer.lackedCount += 1;
      if (!peer.hasOurs) continue;
      this.#append(peer, piece);
      const delayMs = lacks ? haveDelayMs : haveDelayKnownMs;
      if (delayMs === 0 || peer.pendingCount >= havesTogether) {
        this.flush(peer);
        continue;
      }
      peer.pendingDueMs = Math.min(peer.pendingDueMs, now + delayMs);
      this.#state.timers.lower(timer.haves, peer.pendingDueMs);
    }
  }

  /** Adds a have for one peer; `flush` sends it. */
  append(peer: Peer, piece: PieceIndex): void {
    this.#append(peer, piece);
  }

  /** Tells a peer, with what waits for it, that it may ask: by a have that it knows of already. */
  invite(peer: Peer): void {
    const { offer, pieces } = peer.artifact;
    let piece = peer.announced;
    // What can't be read any more isn't announced again.
    if (piece === undefined || !hasBit(offer, piece)) {
      piece = 0;
      while (piece < pieces.count && !hasBit(offer, piece)) piece += 1;
      if (piece === pieces.count) return;
    }
    this.#append(peer, piece);
    this.flush(peer);
  }

  flush(peer: Peer): void {
    const { pending, pendingCount, link, artifact } = peer;
    this.forget(peer);
    if (pending !== undefined) {
      this.#state.outputs.haves(link.id, artifact.slot, pending, pendingCount);
    }
  }

  /** Sends what is due. */
  flushDue(now: Millis): void {
    for (const { peers } of this.#state.artifacts.values()) {
      for (const peer of peers) {
        if (peer.pendingCount === 0) continue;
        if (peer.pendingDueMs <= now) this.flush(peer);
        else this.#state.timers.lower(timer.haves, peer.pendingDueMs);
      }
    }
  }

  /** What waits for a peer isn't to be sent any more: it is gone, or gets a whole bitfield. */
  forget(peer: Peer): void {
    peer.pending = undefined;
    peer.pendingCount = 0;
    peer.pendingDueMs = Infinity;
  }

  #append(peer: Peer, piece: PieceIndex): void {
    if (peer.pendingCount === havesPerMessageMax) this.flush(peer);
    let buffer = peer.pending ?? this.#state.outputs.spareBuffer();
    if (peer.pendingCount === buffer.length) {
      const larger = new Uint32Array(buffer.length * 2);
      larger.set(buffer);
      buffer = larger;
    }
    peer.announced = piece;
    buffer[peer.pendingCount] = piece;
    peer.pending = buffer;
    peer.pendingCount += 1;
  }
}
