// Says in one line what an artifact waits for. For people only: nothing is decided by it.
import type { Millis } from "../units.ts";
import type { Artifact } from "./artifact.ts";

/** Empty when the artifact is complete. */
export function waitsFor(artifact: Artifact, candidates: number, now: Millis): string {
  if (artifact.isComplete) return "";
  const { pieces, piecesHeld, peers } = artifact;
  const missing = pieces.count - piecesHeld;
  const rest = `${missing} of ${pieces.count} pieces`;
  if (peers.length === 0) return `${rest}: no peer is linked, ${candidates} are known`;
  const live = peers.filter((peer) => peer.isLive);
  if (live.length === 0) return `${rest}: none of ${peers.length} peers has said what it offers`;
  let open = 0;
  let oldestMs: Millis = 0;
  const asked = new Set<string>();
  for (const { link } of live) {
    for (const request of link.requests) {
      if (request.artifact !== artifact || request.isCancelled) continue;
      open += 1;
      asked.add(link.known.peerId);
      oldestMs = Math.max(oldestMs, now - link.progressMs);
    }
  }
  if (open > 0) {
    const silent = oldestMs >= 1000 ? `, one silent for ${Math.floor(oldestMs / 1000)} s` : "";
    return `${rest}: ${open} requests are open at ${asked.size} peers${silent}`;
  }
  if (artifact.bytesStoring > 0) return `${rest}: received chunks are being stored`;
  return `${rest}: none of ${live.length} peers offers them now`;
}
