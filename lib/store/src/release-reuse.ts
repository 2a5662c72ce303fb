// Takes chunks that are on this disk already, in the folders of other releases, instead of fetching them.
// What another release says about itself is only where to look: a chunk is taken when its hash is right,
// because a program may have changed its own files. Whole files that didn't change are cloned where the
// file system can share blocks; other chunks are copied.
import { digest, digestBytes, digestEquals, toHex } from "@shoal/core/digest";
import { chunkHashOf, type Manifest } from "@shoal/core/content/manifest";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { join } from "node:path";
import { forEachInLanes } from "./bounded-lanes.ts";
import { FileRanges } from "./file-ranges.ts";
import { HashTable, noSlot } from "./hash-table.ts";
import { laneBytesMax, LaneBuffers } from "./lane-buffers.ts";
import { readReleaseManifest, treeName } from "./release-records.ts";
import { TreeFiles } from "./tree-files.ts";

/** Where reused chunks go: `ReleaseFiles`. */
export interface ReuseTarget {
  readonly manifest: Manifest;
  missingChunks(): Iterable<ChunkIndex>;
  hashOf(chunk: ChunkIndex): Uint8Array;
  writeRun(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): Promise<void>;
  holds(chunk: ChunkIndex): boolean;
  cloneFile(file: number, from: string): Promise<Bytes | "gone" | "unable">;
}

export interface Reused {
  readonly chunksCount: number;
  readonly bytes: Bytes;
}

/**
 * Runs of chunks on their way at once. More than the runtime has threads for files: while some are hashed, the disk
 * is kept busy by the others (9 GiB copied in 37 to 41 s with 6 or 8, in 44 to 47 with 4, where the disk needs 39).
 */
const lanesCount = 8;

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
  const files = new TreeFiles(join(dir, treeName), ranges, "read");
  const copies = new RunCopies(target, { files, ranges });
  try {
    await forEachInLanes(runsIn(target, other), lanesCount, async (run) => {
      signal?.throwIfAborted();
      await copies.copy(run);
    });
  } finally {
    await files.close();
    copies.close();
  }
  return {
    chunksCount: cloned.chunksCount + copies.chunksCount,
    bytes: cloned.bytes + copies.bytes,
  };
}

/** Missing chunks that follow one another, in the other release as in the target. */
interface Run {
  readonly chunk: ChunkIndex;
  readonly from: ChunkIndex;
  readonly count: number;
}

/** What is missing in the target and said to be in the other release, in runs that fit into a buffer. */
function* runsIn(target: ReuseTarget, other: Manifest): Generator<Run> {
  const { table, chunks } = chunksByHash(other);
  let start: { readonly chunk: ChunkIndex; readonly from: ChunkIndex } | undefined;
  let count = 0;
  let bytes = 0;
  for (const chunk of target.missingChunks()) {
    const hash = target.hashOf(chunk);
    const chunkBytes = target.manifest.chunkBytes[chunk] ?? 0;
    if (start !== undefined) {
      const follows =
        chunk === start.chunk + count && digestEquals(chunkHashOf(other, start.from + count), hash);
      if (follows && bytes + chunkBytes <= laneBytesMax) {
        count += 1;
        bytes += chunkBytes;
        continue;
      }
      yield { ...start, count };
      start = undefined;
    }
    const slot = table.find(hash);
    if (slot === noSlot) continue;
    start = { chunk, from: chunks[slot] ?? 0 };
    count = 1;
    bytes = chunkBytes;
  }
  if (start !== undefined) yield { ...start, count };
}

/** Copies runs, as far as they are what they should be. */
class RunCopies {
  chunksCount = 0;
  bytes: Bytes = 0;
  readonly #target: ReuseTarget;
  readonly #other: { readonly files: TreeFiles; readonly ranges: FileRanges };
  readonly #buffers: LaneBuffers = new LaneBuffers();

  constructor(
    target: ReuseTarget,
    other: { readonly files: TreeFiles; readonly ranges: FileRanges },
  ) {
    this.#target = target;
    this.#other = other;
  }

  async copy({ chunk, from, count }: Run): Promise<void> {
    const { files, ranges } = this.#other;
    const length = ranges.bytesOf(from, count);
    // What another release says about sizes is no more than what it says about hashes.
    const isAlike = sumOf(this.#target.manifest.chunkBytes, chunk, count) === length;
    const found = isAlike ? this.#buffers.take(length) : undefined;
    const isRight =
      found !== undefined &&
      (await files.read(ranges.rangesOf(from, count), found).then(
        () => this.#isRight(chunk, count, found),
        // A file that is gone or was cut short: the chunk comes from elsewhere.
        () => false,
      ));
    if (isRight) {
      await this.#target.writeRun(chunk, count, found);
      this.chunksCount += count;
      this.bytes += length;
    }
    if (found !== undefined) this.#buffers.give(found);
    if (isRight || count === 1) return;
    // One of them is wrong: each by itself.
    for (let at = 0; at < count; at += 1) {
      await this.copy({ chunk: chunk + at, from: from + at, count: 1 });
    }
  }

  close(): void {
    this.#buffers.close();
  }

  #isRight(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): boolean {
    let start = 0;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      const end = start + (this.#target.manifest.chunkBytes[chunk] ?? 0);
      if (!digestEquals(digest(bytes.subarray(start, end)), this.#target.hashOf(chunk)))
        return false;
      start = end;
    }
    return true;
  }
}

function sumOf(sizes: Uint32Array, first: number, count: number): number {
  let sum = 0;
  for (let at = first; at < first + count; at += 1) sum += sizes[at] ?? 0;
  return sum;
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
  return `${ranges.files[file]?.bytes} ${ranges.offsetIn(file, chunk)} ${toHex(chunkHashOf(manifest, chunk))}`;
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
