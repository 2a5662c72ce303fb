// Says what an artifact waits for, from whom, since when, and what would help: as facts, and in one
// line. For people only: nothing is decided by it.
import type { PeerId } from "../ids.ts";
import { waitedPeersMax } from "../limits.ts";
import type { Bytes, Millis } from "../units.ts";
import type { Artifact } from "./artifact.ts";

export type WaitReason = "noPeer" | "noOffer" | "requests" | "storing" | "notOffered" | "paused";

/** A peer that was asked for chunks and hasn't sent all of them. */
export interface WaitedPeer {
  readonly peer: PeerId;
  readonly seeder: boolean;
  readonly requests: number;
  readonly bytes: Bytes;
  /** Since its last chunk, or since it was asked. */
  readonly silentMs: Millis;
}

export interface Waits {
  readonly reason: WaitReason;
  readonly piecesMissing: number;
  readonly piecesCount: number;
  readonly peersLinked: number;
  readonly peersKnown: number;
  /** Requests open at all peers. */
  readonly requests: number;
  /** Those that are asked, the one that was silent for the longest time first; at most `waitedPeersMax`. */
  readonly peers: readonly WaitedPeer[];
}

/** A peer that is silent for less is merely busy. */
const silentMsMin = 1000;

/** Undefined when the artifact is complete. */
export function waitsOf(artifact: Artifact, peersKnown: number, now: Millis): Waits | undefined {
  if (artifact.isComplete) return undefined;
  const { pieces, piecesHeld, peers } = artifact;
  const asked = askedPeers(artifact, now);
  const requests = asked.reduce((sum, peer) => sum + peer.requests, 0);
  return {
    reason: reasonOf(artifact, requests),
    piecesMissing: pieces.count - piecesHeld,
    piecesCount: pieces.count,
    peersLinked: peers.length,
    peersKnown,
    requests,
    peers: asked.slice(0, waitedPeersMax),
  };
}

/** In one line; empty when it waits for nothing. */
export function describeWaits(waits: Waits | undefined): string {
  if (waits === undefined) return "";
  const { reason, piecesMissing, piecesCount, peersLinked, peersKnown, requests, peers } = waits;
  const rest = `${piecesMissing} of ${piecesCount} pieces`;
  switch (reason) {
    case "paused":
      return `${rest}: paused by a person`;
    case "noPeer":
      return `${rest}: no peer is linked, ${peersKnown} are known`;
    case "noOffer":
      return `${rest}: none of ${peersLinked} peers has said what it offers`;
    case "storing":
      return `${rest}: what arrived, or lies elsewhere on this disk, is being stored`;
    case "notOffered":
      return `${rest}: none of ${peersLinked} peers offers them now`;
    case "requests": {
      const silentMs = peers[0]?.silentMs ?? 0;
      const silent =
        silentMs >= silentMsMin ? `, one silent for ${Math.floor(silentMs / 1000)} s` : "";
      return `${rest}: ${requests} requests are open at ${peers.length} peers${silent}`;
    }
  }
}

function reasonOf(artifact: Artifact, requests: number): WaitReason {
  const { peers, bytesStoring, isPaused, chunksReusing, rarity } = artifact;
  if (isPaused) return "paused";
  if (chunksReusing > 0 && rarity.size === 0 && requests === 0) return "storing";
  if (peers.length === 0) return "noPeer";
  if (!peers.some((peer) => peer.isLive)) return "noOffer";
  if (requests > 0) return "requests";
  return bytesStoring > 0 ? "storing" : "notOffered";
}

function askedPeers(artifact: Artifact, now: Millis): readonly WaitedPeer[] {
  return artifact.peers
    .flatMap(({ link }) => {
      const { peerId: peer, seeder } = link.known;
      const open = link.requests.filter((one) => one.artifact === artifact && !one.isCancelled);
      if (open.length === 0) return [];
      const { bytesOpen: bytes, progressMs } = link;
      return [
        { peer, seeder, requests: open.length, bytes, silentMs: Math.round(now - progressMs) },
      ];
    })
    .toSorted((a, b) => b.silentMs - a.silentMs);
}
