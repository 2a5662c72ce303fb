// Where the bytes of chunks lie in the files of an artifact. Pure; logarithmic in the number of files.
import type { FileEntry, Manifest } from "@shoal/core/content/manifest";
import { assert } from "@shoal/core/error";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { blockBytes } from "./direct-io.ts";

/** A run of bytes of one file. */
export interface FileRange {
  /** Position in `FileRanges.files`. */
  readonly file: number;
  /** Where in the file. */
  readonly offset: Bytes;
  /** Where in the run of chunks. */
  readonly start: Bytes;
  readonly bytes: Bytes;
}

export class FileRanges {
  /** The files of the manifest in stream order, empty ones too. */
  readonly files: readonly FileEntry[];
  readonly chunksCount: number;
  /** Where file i begins in the stream, and at the end the length of the stream. */
  readonly #fileOffsets: Float64Array;
  readonly #chunkOffsets: Float64Array;

  constructor(manifest: Manifest) {
    this.files = manifest.entries.filter((entry) => entry.type === "file");
    this.#fileOffsets = sumsOf(this.files.map(({ bytes }) => bytes));
    this.#chunkOffsets = sumsOf(manifest.chunkBytes);
    this.chunksCount = manifest.chunkBytes.length;
  }

  /** Bytes of a run of chunks. */
  bytesOf(firstChunk: ChunkIndex, count: number): Bytes {
    assert(
      firstChunk >= 0 && count >= 0 && firstChunk + count <= this.chunksCount,
      "chunks of the artifact",
    );
    return this.#chunkOffset(firstChunk + count) - this.#chunkOffset(firstChunk);
  }

  /** The parts of files that make up a run of chunks, in order. */
  rangesOf(firstChunk: ChunkIndex, count: number): readonly FileRange[] {
    const length = this.bytesOf(firstChunk, count);
    const from = this.#chunkOffset(firstChunk);
    const ranges: FileRange[] = [];
    let start = 0;
    for (let file = lastAtMost(this.#fileOffsets, from); start < length; file += 1) {
      const fileStart = this.#fileOffsets[file] as number;
      const fileEnd = this.#fileOffsets[file + 1] as number;
      const bytes = Math.min(fileEnd, from + length) - (from + start);
      if (bytes === 0) continue;
      ranges.push({ file, offset: from + start - fileStart, start, bytes });
      start += bytes;
    }
    return ranges;
  }

  /** How far into a block of its file the run begins; of a run that lies in several files, as its longest part needs it. */
  phaseOf(firstChunk: ChunkIndex, count: number): Bytes {
    let longest: FileRange | undefined;
    for (const range of this.rangesOf(firstChunk, count)) {
      if (range.bytes > (longest?.bytes ?? 0)) longest = range;
    }
    if (longest === undefined) return 0;
    const phase = (longest.offset - longest.start) % blockBytes;
    return phase < 0 ? phase + blockBytes : phase;
  }

  /** The chunks that have bytes of a file: the first and how many. */
  chunksOf(file: number): { readonly firstChunk: ChunkIndex; readonly count: number } {
    const start = this.#fileOffsets[file] as number;
    const end = this.#fileOffsets[file + 1] as number;
    if (end === start) return { firstChunk: 0, count: 0 };
    const firstChunk = lastAtMost(this.#chunkOffsets, start);
    return { firstChunk, count: lastAtMost(this.#chunkOffsets, end - 1) - firstChunk + 1 };
  }

  /** The chunks that lie whole in a file, in order. */
  chunksWithin(file: number): readonly ChunkIndex[] {
    const start = this.#fileOffsets[file] as number;
    const end = this.#fileOffsets[file + 1] as number;
    const { firstChunk, count } = this.chunksOf(file);
    return Array.from({ length: count }, (_, index) => firstChunk + index).filter(
      (chunk) => this.#chunkOffset(chunk) >= start && this.#chunkOffset(chunk + 1) <= end,
    );
  }

  /** Where a chunk begins, counted from the start of a file. */
  offsetIn(file: number, chunk: ChunkIndex): Bytes {
    return this.#chunkOffset(chunk) - (this.#fileOffsets[file] as number);
  }

  #chunkOffset(chunk: ChunkIndex): Bytes {
    return this.#chunkOffsets[chunk] as number;
  }
}

function sumsOf(sizes: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(sizes.length + 1);
  for (let index = 0; index < sizes.length; index += 1) {
    sums[index + 1] = (sums[index] as number) + (sizes[index] as number);
  }
  return sums;
}

/** The last position whose value is at most `value`, in a rising list that starts with 0. */
function lastAtMost(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
