// Pieces: runs of consecutive chunks, derived from the manifest alone and so the same everywhere
// (PROTOCOL.md 2.3). Everything a scheduler asks is answered in constant time from typed arrays.
import { pieceBytesTargetMax, pieceBytesTargetMin, piecesTarget } from "../limits.ts";
import { assert } from "../error.ts";
import type { Bytes, ChunkIndex, PieceIndex } from "../units.ts";
import type { ChunkList } from "./manifest.ts";

/** Where chunks and pieces lie in the artifact's byte stream. */
export interface PieceMap {
  readonly count: number;
  readonly chunkCount: (piece: PieceIndex) => number;
  readonly firstChunk: (piece: PieceIndex) => ChunkIndex;
  readonly bytes: (piece: PieceIndex) => Bytes;
  /** The piece that a chunk belongs to. */
  readonly pieceOf: (chunk: ChunkIndex) => PieceIndex;
  /** Chunks of the whole artifact. */
  readonly chunksCount: number;
  /** Where a chunk begins in the stream; for `chunksCount` the length of the stream. */
  readonly chunkOffset: (chunk: ChunkIndex) => Bytes;
}

/** Linear in the number of chunks; 16 bytes of memory a chunk. */
export function derivePieces(manifest: Pick<ChunkList, "bytes" | "chunkBytes">): PieceMap {
  const { chunkBytes } = manifest;
  const aim = pieceAim(manifest.bytes);
  const offsets = new Float64Array(chunkBytes.length + 1);
  const pieces = new Uint32Array(chunkBytes.length);
  const firsts: ChunkIndex[] = [];
  let offset = 0;
  let pieceStart = 0;
  for (let chunk = 0; chunk < chunkBytes.length; chunk += 1) {
    if (firsts.length === 0 || offset - pieceStart >= aim) {
      firsts.push(chunk);
      pieceStart = offset;
    }
    pieces[chunk] = firsts.length - 1;
    offset += chunkBytes[chunk] as number;
    offsets[chunk + 1] = offset;
  }
  const count = firsts.length;
  const bounds = Uint32Array.from([...firsts, chunkBytes.length]);
  const known = (value: number | undefined, index: number): number => {
    // The words only when they are needed: a scheduler asks some ten times with each chunk.
    if (value === undefined) assert(false, `no piece or chunk ${index}`);
    return value;
  };
  const offsetAt = (chunk: ChunkIndex): Bytes => known(offsets[chunk], chunk);
  const firstOf = (piece: PieceIndex): ChunkIndex => known(bounds[piece], piece);
  return {
    count,
    chunksCount: chunkBytes.length,
    firstChunk: firstOf,
    chunkCount: (piece) => firstOf(piece + 1) - firstOf(piece),
    bytes: (piece) => offsetAt(firstOf(piece + 1)) - offsetAt(firstOf(piece)),
    pieceOf: (chunk) => known(pieces[chunk], chunk),
    chunkOffset: offsetAt,
  };
}

/** The size at which a piece ends, for an artifact of this size. */
export function pieceAim(artifactBytes: Bytes): Bytes {
  return Math.min(Math.max(artifactBytes / piecesTarget, pieceBytesTargetMin), pieceBytesTargetMax);
}
