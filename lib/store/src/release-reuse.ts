// Takes chunks that are on this disk already, in the folders of other releases, instead of fetching them.
// What another release says about itself is only where to look: a chunk is taken when its hash is right,
// because a program may have changed its own files. Whole files that didn't change are cloned where the
// file system can share blocks; other chunks are copied.
import { digest, digestBytes, digestEquals } from "@shoal/core/digest";
import { chunkHashOf, type Manifest } from "@shoal/core/content/manifest";
import { gibibyte, type Bytes, type ChunkIndex } from "@shoal/core/units";
import { join } from "node:path";
import { forEachInLanes } from "./bounded-lanes.ts";
import { FileRanges } from "./file-ranges.ts";
import { HashTable, noSlot } from "./hash-table.ts";
import { HeldChunks } from "./held-chunks.ts";
import { laneBytesMax, LaneBuffers } from "./lane-buffers.ts";
import { readReleaseManifest, treeName } from "./release-records.ts";
import { cloneUnchanged, type CloneTarget } from "./reuse-clones.ts";
import { TreeFiles } from "./tree-files.ts";

/** Where reused chunks go: `ReleaseFiles`. */
export interface ReuseTarget extends CloneTarget {
  missingChunks(): Iterable<ChunkIndex>;
  hashOf(chunk: ChunkIndex): Uint8Array;
  phaseOf(firstChunk: ChunkIndex, count: number): Bytes;
  writeRun(firstChunk: ChunkIndex, count: number, bytes: Uint8Array): Promise<void>;
}

/** Who wants to know what became of what was promised. */
export interface ReuseListener {
  /** Verified and written. */
  reused(firstChunk: ChunkIndex, count: number): void;
  /** No release has it after all. */
  reuseFailed(firstChunk: ChunkIndex, count: number): void;
}

/** The chunks of a manifest by their hashes. */
class ChunksByHash {
  readonly #table: HashTable = new HashTable();
  /** For each slot of the table a chunk that has that hash. */
  readonly #chunks: Uint32Array;

  constructor({ chunkBytes, chunkHashes }: Manifest) {
    this.#chunks = new Uint32Array(chunkBytes.length);
    for (let chunk = 0; chunk < chunkBytes.length; chunk += 1) {
      this.#chunks[this.#table.add(chunkHashes, chunk * digestBytes)] = chunk;
    }
  }

  has(hash: Uint8Array): boolean {
    return this.#table.find(hash) !== noSlot;
  }

  find(hash: Uint8Array): ChunkIndex | undefined {
    const slot = this.#table.find(hash);
    return slot === noSlot ? undefined : this.#chunks[slot];
  }
}

/** Another release that says it has something of what is missing. */
interface Source {
  readonly dir: string;
  readonly manifest: Manifest;
  readonly ranges: FileRanges;
  readonly byHash: ChunksByHash;
}

/**
 * Runs of chunks on their way at once. More than the runtime has threads for files: while some are hashed, the disk
 * is kept busy by the others (9 GiB copied in 37 to 41 s with 6 or 8, in 44 to 47 with 4, where the disk needs 39).
 */
const lanesCount = 8;
/** Releases that are kept in mind for what others say they have and don't. */
const sourcesMax = 4;
/**
 * Releases smaller than this are read through the page cache, where most of one that runs is already: less of the
 * disk's time, which writing needs (an executable of 150 MB, updated in 0.86 instead of 0.88 s).
 */
const cachedBytesMax: Bytes = gibibyte;

/**
 * Finds what the release folders say they have of what is missing, wherever it lies there, and clones whole files.
 * Folders that can't be read, or are being removed, give nothing.
 */
export async function planReuse(
  target: ReuseTarget,
  dirs: readonly string[],
  signal?: AbortSignal,
): Promise<Reuse> {
  const reuse = new Reuse(target);
  for (const dir of dirs) {
    signal?.throwIfAborted();
    const manifest = (await readReleaseManifest(dir))?.manifest;
    if (manifest === undefined) continue;
    const ranges = new FileRanges(manifest);
    const cloned = await cloneUnchanged(target, { dir, manifest, ranges }, signal);
    reuse.count(cloned.chunksCount, cloned.bytes);
    reuse.add({ dir, manifest, ranges, byHash: new ChunksByHash(manifest) });
  }
  return reuse;
}

/** What can be taken from other releases: all is known at once, and comes while the rest is fetched. */
export class Reuse {
  readonly #target: ReuseTarget;
  /** The likeliest first. */
  readonly #sources: Source[] = [];
  readonly #promised: HeldChunks;
  #chunksCount = 0;
  #bytes: Bytes = 0;

  constructor(target: ReuseTarget) {
    this.#target = target;
    this.#promised = new HeldChunks(target.manifest.chunkBytes);
  }

  /** Missing chunks that another release says it has: bit i % 8 of byte i >> 3 is chunk i; a copy. */
  get promised(): Uint8Array {
    return this.#promised.toBits();
  }

  /** Taken so far. */
  get chunksCount(): number {
    return this.#chunksCount;
  }

  get bytes(): Bytes {
    return this.#bytes;
  }

  count(chunksCount: number, bytes: Bytes): void {
    this.#chunksCount += chunksCount;
    this.#bytes += bytes;
  }

  /** One that has nothing of what is missing isn't kept; of those that have nothing more than others, a few are. */
  add(source: Source): void {
    const before = this.#promised.count;
    let isOfUse = false;
    for (const chunk of this.#target.missingChunks()) {
      if (!source.byHash.has(this.#target.hashOf(chunk))) continue;
      this.#promised.add(chunk);
      isOfUse ||= this.#sources.length < sourcesMax;
    }
    if (isOfUse || this.#promised.count > before) this.#sources.push(source);
  }

  /**
   * Copies every promised chunk that is right. Nobody else writes them, until told that they failed. To be called once:
   * what is known of the others is large, and forgotten on the way.
   */
  async copy(listener?: ReuseListener, signal?: AbortSignal): Promise<void> {
    const later = this.#sources;
    for (let source = later.shift(); source !== undefined; source = later.shift()) {
      const { dir, manifest, ranges } = source;
      const files = new TreeFiles(join(dir, treeName), ranges, "read", {
        isDirect: manifest.bytes >= cachedBytesMax,
      });
      const copies = new RunCopies(this.#target, { files, ranges }, (first, count, bytes) => {
        if (bytes > 0) {
          this.count(count, bytes);
          listener?.reused(first, count);
        } else if (!later.some(({ byHash }) => byHash.has(this.#target.hashOf(first)))) {
          listener?.reuseFailed(first, count);
        }
      });
      try {
        await forEachInLanes(runsIn(this.#target, source), lanesCount, async (run) => {
          signal?.throwIfAborted();
          await copies.copy(run);
        });
      } finally {
        await files.close();
        copies.close();
      }
    }
  }
}

/** Missing chunks that follow one another, in the other release as in the target. */
interface Run {
  readonly chunk: ChunkIndex;
  readonly from: ChunkIndex;
  readonly count: number;
}

/** What is missing in the target and said to be in the other release, in runs that fit into a buffer. */
function* runsIn(target: ReuseTarget, { manifest: other, byHash }: Source): Generator<Run> {
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
    const from = byHash.find(hash);
    if (from === undefined) continue;
    start = { chunk, from };
    count = 1;
    bytes = chunkBytes;
  }
  if (start !== undefined) yield { ...start, count };
}

/** Copies runs, as far as they are what they should be. */
class RunCopies {
  readonly #target: ReuseTarget;
  readonly #other: { readonly files: TreeFiles; readonly ranges: FileRanges };
  readonly #ended: (firstChunk: ChunkIndex, count: number, bytes: Bytes) => void;
  readonly #buffers: LaneBuffers = new LaneBuffers();

  /** `ended` hears of each run that was copied, and with no bytes of each chunk that can't be. */
  constructor(
    target: ReuseTarget,
    other: { readonly files: TreeFiles; readonly ranges: FileRanges },
    ended: (firstChunk: ChunkIndex, count: number, bytes: Bytes) => void,
  ) {
    this.#target = target;
    this.#other = other;
    this.#ended = ended;
  }

  async copy({ chunk, from, count }: Run): Promise<void> {
    const { files, ranges } = this.#other;
    const length = ranges.bytesOf(from, count);
    // What another release says about sizes is no more than what it says about hashes.
    const isAlike = sumOf(this.#target.manifest.chunkBytes, chunk, count) === length;
    const found = isAlike
      ? this.#buffers.take(length, this.#target.phaseOf(chunk, count))
      : undefined;
    const isRight =
      found !== undefined &&
      (await files.read(ranges.rangesOf(from, count), found).then(
        () => this.#isRight(chunk, count, found),
        // A file that is gone or was cut short: the chunk comes from elsewhere.
        () => false,
      ));
    if (isRight) {
      await this.#target.writeRun(chunk, count, found);
      this.#ended(chunk, count, length);
    }
    if (found !== undefined) this.#buffers.give(found);
    if (!isRight && count === 1) this.#ended(chunk, 1, 0);
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
