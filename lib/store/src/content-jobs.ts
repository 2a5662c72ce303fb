// The work on bytes that content-pool.ts gives to threads, and what passes between them. Plain
// functions: who has no threads calls them itself, and gets the same answers.
import { constants, zstdCompressSync } from "node:zlib";
import { cutSegment, type SegmentCuts } from "@shoal/core/content/segments";
import { digest } from "@shoal/core/digest";
import { coding, type Coding } from "./pack-format.ts";

/** Bytes in shared memory. */
export interface SharedBytes {
  readonly buffer: SharedArrayBuffer;
  readonly offset: number;
  readonly bytes: number;
}

export type ContentJob =
  | {
      readonly type: "cut";
      readonly buffer: SharedArrayBuffer;
      readonly start: number;
      readonly end: number;
      readonly isLast: boolean;
    }
  | { readonly type: "encode"; readonly raw: SharedBytes | Uint8Array };

export type ContentAnswer = SegmentCuts | EncodedChunk;

export interface StoredChunk {
  readonly stored: Uint8Array;
  readonly coding: Coding;
}

export interface EncodedChunk extends StoredChunk {
  /** Of the raw bytes. */
  readonly hash: Uint8Array;
}

/**
 * zstd level 1 with the smallest hash table that stays near level 3 in size. Of a 150 MB executable in
 * chunks of 256 KiB, CPU-seconds per GiB and how many times smaller: table of 2^13 words 3.8 and 2.63, of
 * 2^14 4.0 and 2.69, of 2^16 4.5 and 2.73; level 2 5.6 and 2.79, level 3 6.9 and 2.88 (node 26.10).
 */
const zstdParams: Readonly<Record<number, number>> = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_hashLog]: 14,
};

export function runContentJob(job: ContentJob): ContentAnswer {
  return job.type === "cut"
    ? cutSegment(new Uint8Array(job.buffer), job.start, job.end, job.isLast)
    : encodeRaw(
        job.raw instanceof Uint8Array
          ? job.raw
          : new Uint8Array(job.raw.buffer, job.raw.offset, job.raw.bytes),
      );
}

/** The stored form of a chunk, sharing no memory with it: zstd where that saves at least a tenth. */
export function encodeRaw(raw: Uint8Array): EncodedChunk {
  const hash = digest(raw);
  // Output in one buffer, or two where little is saved, instead of many of 16 KiB: nearly twice as fast.
  const packed = zstdCompressSync(raw, {
    chunkSize: (raw.length >> 1) + 1024,
    params: zstdParams,
  });
  if (packed.length > raw.length * 0.9) {
    free(packed, raw.length);
    return { hash, stored: new Uint8Array(raw), coding: coding.raw };
  }
  // Copied to its own size: the library's buffer is larger.
  const stored = new Uint8Array(packed);
  free(packed, raw.length);
  return { hash, stored, coding: coding.zstd };
}

/** Gives memory back now: a collector that sees small objects only would let hundreds of MiB pile up. */
function free({ buffer }: Uint8Array, rawBytes: number): void {
  // Smaller output may lie in a pool that others use.
  if (rawBytes >= 2 * Buffer.poolSize && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** What an answer may hand over instead of copying; hashes from the native library can't be. */
export function transfersOf(answer: ContentAnswer): ArrayBuffer[] {
  const views = "stored" in answer ? [answer.stored] : [answer.ends, answer.hashes];
  return views.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}
