// Which chunks to ask a peer for. Pure choices over the artifact's tables; downloads.ts acts on them.
import { requestChunksMax } from "../limits.ts";
import type { ChunkIndex, Millis, PieceIndex } from "../units.ts";
import type { Artifact } from "./artifact.ts";
import type { SwarmConfig } from "./config.ts";
import type { Link, Peer } from "./peers.ts";
import type { Request } from "./requests.ts";

export const nothing = -1;
const dueShare = 3 / 4;

/**
 * Rarest first: the piece with the fewest known copies that the peer offers and that has chunks to be
 * asked for. What hosts have several copies of isn't asked of a seeder while hosts deliver, because
 * what a seeder sends is missing elsewhere in its region. `nothing` when there is none; linear in the
 * pieces with copies that are rarer than the answer.
 */
export function rarestPiece(peer: Peer, config: SwarmConfig): PieceIndex {
  const { artifact, link } = peer;
  if (!peer.hasOffer) return nothing;
  const { rarity } = artifact;
  const spares = link.known.seeder && artifact.bytesOpenAtHosts > 0;
  // The seeder that is asked is one of the copies.
  const copiesMax = spares ? config.commonCopies + 1 : Infinity;
  for (let place = rarity.firstCopied; place < rarity.size; place += 1) {
    const piece = rarity.at(place);
    if (rarity.copies(piece) > copiesMax) return nothing;
    if (peer.offers(piece)) return piece;
  }
  return nothing;
}

/** The first chunk of a piece that is to be asked for. */
export function firstUnrequested(artifact: Artifact, piece: PieceIndex): ChunkIndex {
  let chunk = artifact.pieces.firstChunk(piece);
  while (artifact.requestedCopies(chunk) > 0 || artifact.isHeld(chunk)) chunk += 1;
  return chunk;
}

/** How many chunks from `first` on are to be asked for, up to the end of the piece: at least one. */
export function unrequestedRun(artifact: Artifact, first: ChunkIndex): number {
  return runLength(artifact, first, 1);
}

/**
 * The request that an idle link should repeat at the end of a transfer: the one that has waited
 * longest at another link, asks for what this peer offers, and isn't repeated yet.
 */
export function lateRequest(peer: Peer, config: SwarmConfig): Request | undefined {
  const { artifact, link } = peer;
  if (!peer.hasOffer || artifact.isComplete || artifact.isAskable) return undefined;
  let late: Request | undefined;
  for (const other of artifact.peers) {
    if (other.link === link) continue;
    for (const request of other.link.requests) {
      if (request.artifact !== artifact || request.isCancelled) continue;
      if (late !== undefined && request.sentMs >= late.sentMs) continue;
      if (!peer.offers(request.piece)) continue;
      if (firstRepeatable(request, config) !== nothing) late = request;
    }
  }
  return late;
}

/** The first chunk of a request that may be asked of one more link. */
export function firstRepeatable(request: Request, config: SwarmConfig): ChunkIndex {
  const { artifact, firstChunk, count, arrived } = request;
  for (let chunk = firstChunk + arrived; chunk < firstChunk + count; chunk += 1) {
    if (artifact.isArrived(chunk)) continue;
    if (artifact.requestedCopies(chunk) < config.endgameCopies) return chunk;
  }
  return nothing;
}

/** How many chunks from `first` on may be asked of one more link. */
export function repeatableRun(artifact: Artifact, first: ChunkIndex, config: SwarmConfig): number {
  return runLength(artifact, first, config.endgameCopies);
}

/** When a request has been open long enough to be repeated. */
export function lateAt(request: Request, config: SwarmConfig): Millis {
  return request.sentMs + config.endgameMs;
}

/** Whether a link may be asked for one run more. */
export function hasRoom(link: Link, requestsMax: number): boolean {
  if (link.isStalled) return link.requests.length === 0;
  return link.bytesOpen < link.window.bytes && link.requests.length < requestsMax;
}

/**
 * Whether it is time to ask a link again. One that has the largest window is so fast that it is asked for
 * several pieces together, when a quarter of it is free: each time costs both ends the same.
 */
export function isDue(link: Pick<Link, "window" | "bytesOpen">, config: SwarmConfig): boolean {
  return (
    link.window.bytes < config.windowBytesMax || link.bytesOpen <= config.windowBytesMax * dueShare
  );
}

function runLength(artifact: Artifact, first: ChunkIndex, copiesMax: number): number {
  const { pieces } = artifact;
  const piece = pieces.pieceOf(first);
  const end = pieces.firstChunk(piece) + pieces.chunkCount(piece);
  let chunk = first;
  while (chunk < end && chunk - first < requestChunksMax) {
    if (artifact.isArrived(chunk) || artifact.requestedCopies(chunk) >= copiesMax) break;
    chunk += 1;
  }
  return chunk - first;
}
