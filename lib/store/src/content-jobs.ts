// The work on bytes that content-pool.ts gives to threads, and what passes between them. Plain
// functions: who has no threads calls them itself, and gets the same answers.
import { constants, zstdCompressSync } from "node:zlib";
import { cutSegment, type SegmentCuts } from "@shoal/core/content/segments";
import { digest } from "@shoal/core/digest";
import { freeBytes } from "./free-bytes.ts";
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
 * zstd level 1 with the largest hash table that costs no more time than smaller ones: chunks are small. Of a
 * 120 MB executable in chunks of 256 KiB, on a busy machine, CPU-seconds per GiB and how many times smaller:
 * table of 2^13 words 4.3 and 2.78, of 2^14 4.3 and 2.83, of 2^15 4.3 and 2.86 (node 26.10).
 */
const zstdParams: Readonly<Record<number, number>> = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_hashLog]: 15,
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
  // Room for all that can come out: then the library reads and writes in place, instead of through
  // buffers of its own, which takes a quarter more time.
  const packed = zstdCompressSync(raw, {
    chunkSize: raw.length + (raw.length >> 8) + 1024,
    params: zstdParams,
  });
  if (packed.length > raw.length * 0.9) {
    freeBytes(packed);
    return { hash, stored: new Uint8Array(raw), coding: coding.raw };
  }
  // Copied to its own size: the library's buffer is larger.
  const stored = new Uint8Array(packed);
  freeBytes(packed);
  return { hash, stored, coding: coding.zstd };
}

/** Lets go of a copy of raw bytes that came with a job. */
export function freeJob(job: ContentJob): void {
  if (job.type === "encode" && job.raw instanceof Uint8Array) freeBytes(job.raw);
}

/** What an answer may hand over instead of copying; hashes from the native library can't be. */
export function transfersOf(answer: ContentAnswer): ArrayBuffer[] {
  const views = "stored" in answer ? [answer.stored] : [answer.ends, answer.hashes];
  return views.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}
