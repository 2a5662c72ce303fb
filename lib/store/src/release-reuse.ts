// Takes chunks that are on this disk already, in the folders of other releases, instead of fetching them.
// What another release says about itself is only where to look: a chunk is taken when its hash is right,
// because a program may have changed its own files. Whole files that didn't change are cloned where the
// file system can share blocks; other chunks are copied.
import { digest, digestBytes, digestEquals, toHex } from "@shoal/core/digest";
import type { Manifest } from "@shoal/core/content/manifest";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { join } from "node:path";
import { forEachInLanes } from "./bounded-lanes.ts";
import { FileRanges } from "./file-ranges.ts";
import { HashTable, noSlot } from "./hash-table.ts";
import { readReleaseManifest, treeName } from "./release-records.ts";
import { TreeFiles } from "./tree-files.ts";

/** Where reused chunks go: `ReleaseFiles`. */
export interface ReuseTarget {
  readonly manifest: Manifest;
  missingChunks(): Iterable<ChunkIndex>;
  hashOf(chunk: ChunkIndex): Uint8Array;
  write(chunk: ChunkIndex, bytes: Uint8Array): Promise<void>;
  holds(chunk: ChunkIndex): boolean;
  cloneFile(file: number, from: string): Promise<Bytes | "gone" | "unable">;
}

export interface Reused {
  readonly chunksCount: number;
  readonly bytes: Bytes;
}

/** Chunks on their way at once: at most this many MiB in memory. */
const lanesCount = 4;

/**
 * Copies every missing chunk that one of the release folders has, wherever it lies there. Folders that
 * can't be read, or are being removed, give nothing.
 */
export async function reuseFrom(
  target: ReuseTarget,
  dirs: readonly string[],
  signal?: AbortSignal,
): Promise<Reused> {
  let chunksCount = 0;
  let bytes = 0;
  for (const dir of dirs) {
    signal?.throwIfAborted();
    const reused = await reuseFromOne(target, dir, signal);
    chunksCount += reused.chunksCount;
    bytes += reused.bytes;
  }
  return { chunksCount, bytes };
}

async function reuseFromOne(
  target: ReuseTarget,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<Reused> {
  const other = (await readReleaseManifest(dir))?.manifest;
  if (other === undefined) return { chunksCount: 0, bytes: 0 };
  const ranges = new FileRanges(other);
  const cloned = await cloneUnchanged(target, { dir, manifest: other, ranges }, signal);
  const { table, chunks } = chunksByHash(other);
  const files = new TreeFiles(join(dir, treeName), ranges, "read");
  let { chunksCount, bytes } = cloned;
  try {
    await forEachInLanes(target.missingChunks(), lanesCount, async (chunk) => {
      signal?.throwIfAborted();
      const hash = target.hashOf(chunk);
      const slot = table.find(hash);
      if (slot === noSlot) return;
      const from = chunks[slot] ?? 0;
      const found = new Uint8Array(ranges.bytesOf(from, 1));
      // A file that is gone or was cut short: the chunk comes from elsewhere.
      const isRead = await files.read(ranges.rangesOf(from, 1), found).then(
        () => true,
        () => false,
      );
      if (!isRead || !digestEquals(digest(found), hash)) return;
      await target.write(chunk, found);
      chunksCount += 1;
      bytes += found.length;
    });
  } finally {
    await files.close();
  }
  return { chunksCount, bytes };
}

/**
 * Clones files that are the same in both, as far as one chunk and their size tell; which of their chunks
 * really are is told by hashes afterwards. One after another: no bytes are moved.
 */
async function cloneUnchanged(
  target: ReuseTarget,
  other: { readonly dir: string; readonly manifest: Manifest; readonly ranges: FileRanges },
  signal: AbortSignal | undefined,
): Promise<Reused> {
  const likely = new Map<string, number>();
  for (const file of other.ranges.files.keys()) {
    const sign = signOf(other.manifest, other.ranges, file);
    if (sign !== undefined) likely.set(sign, file);
  }
  const ranges = new FileRanges(target.manifest);
  let chunksCount = 0;
  let bytes = 0;
  for (const file of ranges.files.keys()) {
    signal?.throwIfAborted();
    const sign = signOf(target.manifest, ranges, file);
    const from = other.ranges.files[likely.get(sign ?? "") ?? -1];
    if (from === undefined || holdsAnyOf(target, ranges, file)) continue;
    const result = await target.cloneFile(file, join(other.dir, treeName, from.path));
    if (result === "unable") break;
    if (result === "gone") continue;
    bytes += result;
    chunksCount += ranges.chunksWithin(file).filter((chunk) => target.holds(chunk)).length;
  }
  return { chunksCount, bytes };
}

/** Size, and place and hash of the first chunk that lies whole in a file; undefined when none does. */
function signOf(manifest: Manifest, ranges: FileRanges, file: number): string | undefined {
  const chunk = ranges.chunksWithin(file)[0];
  if (chunk === undefined) return undefined;
  const hash = manifest.chunkHashes.subarray(chunk * digestBytes, (chunk + 1) * digestBytes);
  return `${ranges.files[file]?.bytes} ${ranges.offsetIn(file, chunk)} ${toHex(hash)}`;
}

function holdsAnyOf(target: ReuseTarget, ranges: FileRanges, file: number): boolean {
  const { firstChunk, count } = ranges.chunksOf(file);
  for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
    if (target.holds(chunk)) return true;
  }
  return false;
}

/** For each slot of the table a chunk that has that hash. */
function chunksByHash(manifest: Manifest): {
  readonly table: HashTable;
  readonly chunks: Uint32Array;
} {
  const table = new HashTable();
  const chunks = new Uint32Array(manifest.chunkBytes.length);
  for (let chunk = 0; chunk < chunks.length; chunk += 1) {
    chunks[table.add(manifest.chunkHashes, chunk * digestBytes)] = chunk;
  }
  return { table, chunks };
}
