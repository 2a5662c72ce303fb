// What would move from one artifact to another, from their manifests alone.
import type { Manifest } from "@shoal/core/content/manifest";
import { digestBytes } from "@shoal/core/digest";
import type { Bytes } from "@shoal/core/units";
import { FileRanges } from "./file-ranges.ts";
import { HashTable } from "./hash-table.ts";

export interface ManifestDiff {
  /** Of the newer artifact. */
  readonly bytes: Bytes;
  /** Sum of the chunks of the newer one that the older one lacks, each counted once, uncompressed. */
  readonly movedBytes: Bytes;
  readonly movedChunks: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Files in both of which something moves, the most first: a chunk also moves for its neighbor's sake. */
  readonly changed: readonly { readonly path: string; readonly movedBytes: Bytes }[];
}

export function diffManifests(older: Manifest, newer: Manifest): ManifestDiff {
  const held = new HashTable();
  held.addAll(older.chunkHashes);
  const ranges = new FileRanges(newer);
  const movedByFile = new Map<number, Bytes>();
  let movedBytes = 0;
  let movedChunks = 0;
  for (let chunk = 0; chunk < newer.chunkBytes.length; chunk += 1) {
    const offset = chunk * digestBytes;
    if (held.has(newer.chunkHashes, offset)) continue;
    // A chunk that is there twice moves once.
    held.add(newer.chunkHashes, offset);
    movedChunks += 1;
    movedBytes += newer.chunkBytes[chunk] ?? 0;
    for (const { file, bytes } of ranges.rangesOf(chunk, 1)) {
      movedByFile.set(file, (movedByFile.get(file) ?? 0) + bytes);
    }
  }
  const olderPaths = new Set(older.entries.map(({ path }) => path));
  const newerPaths = new Set(newer.entries.map(({ path }) => path));
  const changed = [...movedByFile]
    .map(([file, bytes]) => ({ path: ranges.files[file]?.path ?? "", movedBytes: bytes }))
    .filter(({ path }) => olderPaths.has(path))
    .toSorted((a, b) => b.movedBytes - a.movedBytes);
  return {
    bytes: newer.bytes,
    movedBytes,
    movedChunks,
    added: [...newerPaths].filter((path) => !olderPaths.has(path)),
    removed: [...olderPaths].filter((path) => !newerPaths.has(path)),
    changed,
  };
}
