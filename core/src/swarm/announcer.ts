// Telling peers what this node can serve now. A have goes at once to a peer that lacks the piece, asks
// for nothing now, and may be idle for want of it: because few have the piece, or because it knows of
// little else to ask of us. Otherwise a have waits for company: most of what crosses a link would be
// haves, else. Where the other side has the piece, it only counts copies, and can wait longer.
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

  /** A piece became complete: everybody who has our bitfield hears of it, sooner or a little later. */
  announce(artifact: Artifact, piece: PieceIndex, now: Millis): void {
    const { config } = this.#state;
    const isRare = artifact.rarity.copies(piece) < config.haveSoonCopies;
    for (const peer of artifact.peers) {
      const lacks = peer.offered !== undefined && !hasBit(peer.offered, piece);
      if (lacks) peer.lackedCount += 1;
      if (!peer.hasOurs) continue;
      this.#append(peer, piece);
      const isSoon = isRare || peer.lackedCount - peer.pendingCount < config.haveSoonLacked;
      if (lacks && isSoon && peer.link.queue.length === 0 && peer.link.active === undefined) {
        this.flush(peer);
      } else {
        const soonMs = isSoon ? config.haveDelayMs : config.haveDelayCommonMs;
        const dueMs = now + (lacks ? soonMs : config.haveDelayKnownMs);
        peer.pendingDueMs = Math.min(peer.pendingDueMs, dueMs);
        this.#state.timers.lower(timer.haves, peer.pendingDueMs);
      }
    }
  }

  /** Adds a have for one peer; `flush` sends it. */
  append(peer: Peer, piece: PieceIndex): void {
    this.#append(peer, piece);
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
    buffer[peer.pendingCount] = piece;
    peer.pending = buffer;
    peer.pendingCount += 1;
  }
}
