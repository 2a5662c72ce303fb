// Reads a scanned tree as one stream and cuts it into chunks (PROTOCOL.md 2.1), in memory of a few
// segments whatever its size. Segments are read, cut and hashed beside each other by the threads that
// are given, and joined in order: the chunks are the same for any number of threads.
import { joinSegment, type SegmentCuts } from "@shoal/core/content/segments";
import type { Manifest } from "@shoal/core/content/manifest";
import { quote } from "@shoal/core/content/path-safety";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { chunkBytesMin, segmentBytes } from "@shoal/core/limits";
import { inlineWork, type ContentWork } from "./content-pool.ts";
import type { UnreadPart } from "./file-parts.ts";
import { Lanes } from "./lanes.ts";
import { SegmentBuffers, segmentStart, type SegmentBuffer } from "./segment-buffers.ts";
import type { TreeScan } from "./tree-scan.ts";
import { TreeStream } from "./tree-stream.ts";

/**
 * Gets the chunks in order. The bytes are the reader's own again when the promise resolves, so who keeps
 * them copies them; it mustn't wait for later chunks.
 */
export type OnChunk = (hash: Uint8Array, bytes: Uint8Array) => Promise<void> | void;

export interface ReadTreeOptions {
  /** Who searches cuts and hashes; the caller's own thread unless given. */
  readonly work?: ContentWork;
  /** Calls of `onChunk` that may be under way at once; 1 unless given. */
  readonly chunksInFlight?: number;
}

interface Segment {
  readonly buffer: SegmentBuffer;
  readonly end: number;
  readonly isLast: boolean;
  readonly cuts: SegmentCuts;
}

/**
 * Reads every file of a scan below the same root. Throws `tree_changed` when a file isn't what it was
 * when scanned; what `onChunk` throws comes through.
 */
export async function readTree(
  root: string,
  scan: TreeScan,
  onChunk: OnChunk,
  options: ReadTreeOptions = {},
): Promise<Manifest> {
  const { work = inlineWork, chunksInFlight = 1 } = options;
  const chunks = new ChunkList(scan.bytes);
  const segments = new Segments(root, scan, work);
  const lanes = new Lanes(chunksInFlight);
  try {
    let carry = new Uint8Array(0);
    for (let isLast = false; !isLast;) {
      const segment = await segments.next();
      const { buffer, end } = segment;
      ({ isLast } = segment);
      let start = segmentStart - carry.length;
      buffer.bytes.set(carry, start);
      const { ends, hashes } = joinSegment(buffer.bytes, start, segment.cuts, end, isLast);
      for (const [index, cut] of ends.entries()) {
        const hash = hashes.subarray(index * digestBytes, (index + 1) * digestBytes);
        const bytes = buffer.bytes.subarray(start, cut);
        chunks.add(hash, bytes.length);
        start = cut;
        buffer.hold();
        await lanes.run(async () => {
          try {
            await onChunk(hash, bytes);
          } finally {
            buffer.release();
          }
        });
      }
      carry = buffer.bytes.slice(start, end);
      buffer.release();
    }
    await lanes.finish();
  } finally {
    await lanes.settle();
    await segments.close();
  }
  return { kind: scan.kind, entries: scan.entries, bytes: scan.bytes, ...chunks.take() };
}

/** The segments of a stream in order, a few of them being read and cut ahead of the one that is used. */
class Segments {
  readonly #stream: TreeStream;
  readonly #work: ContentWork;
  readonly #buffers: SegmentBuffers;
  readonly #ahead: Promise<Segment>[] = [];
  /** Buffers are taken in the order of the segments, so that the first never waits for a later one. */
  #taking: Promise<unknown> = Promise.resolve();
  #left: number;
  #isEnded = false;

  constructor(root: string, scan: TreeScan, work: ContentWork) {
    this.#stream = new TreeStream(root, scan);
    this.#work = work;
    this.#left = scan.bytes;
    // One that waits for a thread, one being used, and one whose chunks are still on their way.
    this.#buffers = new SegmentBuffers(work.threadsCount + 3, Math.min(segmentBytes, scan.bytes));
  }

  async next(): Promise<Segment> {
    while (!this.#isEnded && this.#ahead.length <= this.#work.threadsCount) this.#begin();
    const first = this.#ahead.shift();
    if (first === undefined) throw new Error("no segment after the last");
    return first;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#buffers.close();
    await Promise.allSettled(this.#ahead);
  }

  #begin(): void {
    const bytes = Math.min(segmentBytes, this.#left);
    const end = segmentStart + bytes;
    this.#left -= bytes;
    const isLast = this.#left === 0;
    this.#isEnded = isLast;
    const parts = this.#stream.take(bytes, isLast);
    const taking = this.#taking.then(() => this.#buffers.take());
    this.#taking = taking;
    const segment = taking.then(async (buffer) => {
      const { root } = this.#stream;
      const memory = buffer.memory;
      const job = { root, parts, buffer: memory, start: segmentStart, end, isLast };
      const cuts = await this.#work.cut(job);
      if ("path" in cuts) throw changed(cuts);
      return { buffer, end, isLast, cuts };
    });
    // A failure is thrown where the segment is taken, or never needed.
    segment.catch(() => {});
    this.#ahead.push(segment);
  }
}

function changed({ path, reason }: UnreadPart): ShoalError {
  return new ShoalError("tree_changed", `${quote(path)} changed while it was read`, {
    blame: "environment",
    retryable: true,
    details: reason === undefined ? { path } : { path, reason },
  });
}

/** Hashes and sizes in flat memory. */
class ChunkList {
  readonly #hashes: Uint8Array;
  readonly #sizes: Uint32Array;
  #count = 0;

  constructor(streamBytes: number) {
    const chunksMax = Math.ceil(streamBytes / chunkBytesMin);
    this.#hashes = new Uint8Array(chunksMax * digestBytes);
    this.#sizes = new Uint32Array(chunksMax);
  }

  add(hash: Uint8Array, bytes: number): void {
    this.#hashes.set(hash, this.#count * digestBytes);
    this.#sizes[this.#count] = bytes;
    this.#count += 1;
  }

  take(): Pick<Manifest, "chunkHashes" | "chunkBytes"> {
    return {
      chunkHashes: this.#hashes.slice(0, this.#count * digestBytes),
      chunkBytes: this.#sizes.slice(0, this.#count),
    };
  }
}
