// What an artifact consists of. The bytes of all files, in path order, are one stream; the stream
// is cut into chunks. encode and decode are in manifest-codec.ts, path rules in path-safety.ts.
import { digestBytes } from "../digest.ts";
import type { Bytes, ChunkIndex } from "../units.ts";

export interface FileEntry {
  readonly type: "file";
  readonly path: string;
  /** Permission bits only: 0o644 or 0o755 … no setuid, setgid or sticky bit. */
  readonly mode: number;
  readonly bytes: Bytes;
}

export interface DirectoryEntry {
  readonly type: "directory";
  readonly path: string;
  readonly mode: number;
}

export interface LinkEntry {
  readonly type: "link";
  readonly path: string;
  /** Relative, and inside the tree when resolved from the link's own folder. */
  readonly target: string;
}

export type ManifestEntry = FileEntry | DirectoryEntry | LinkEntry;

/** What a swarm needs to know of what it moves: a stream of bytes in chunks, each named by its hash. */
export interface ChunkList {
  readonly bytes: Bytes;
  /** 32 bytes a chunk, in stream order. */
  readonly chunkHashes: Uint8Array;
  /** Byte length of each chunk, in stream order; their sum is `bytes`. */
  readonly chunkBytes: Uint32Array;
}

/** A decoded and checked manifest. Invariant: file sizes and chunk sizes have the same sum, `bytes`. */
export interface Manifest extends ChunkList {
  /** A single file is a tree of one entry whose path is its base name. */
  readonly kind: "file" | "tree";
  /** Sorted by the bytes of the path; every path once; parents of entries are directories or not listed. */
  readonly entries: readonly ManifestEntry[];
}

/** A chunk's hash, in the manifest's own memory. */
export function chunkHashOf(
  { chunkHashes }: Pick<ChunkList, "chunkHashes">,
  chunk: ChunkIndex,
): Uint8Array {
  return chunkHashes.subarray(chunk * digestBytes, (chunk + 1) * digestBytes);
}
