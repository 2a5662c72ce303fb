// The work on bytes that content-pool.ts gives to threads, and what passes between them. Plain
// functions: who has no threads calls them itself, and gets the same answers.
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { cutSegment, type SegmentCuts } from "@shoal/core/content/segments";
import { digest, digestBytes, digestEquals } from "@shoal/core/digest";
import type { Bytes } from "@shoal/core/units";
import { readParts, type FilePart, type UnreadPart } from "./file-parts.ts";
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
      /** Reads files into a buffer, then cuts and hashes what is in it. */
      readonly type: "cut";
      readonly root: string;
      readonly parts: readonly FilePart[];
      readonly buffer: SharedArrayBuffer;
      readonly start: number;
      readonly end: number;
      readonly isLast: boolean;
    }
  | {
      readonly type: "encode";
      /** Shared, or memory that is the job's own and that its answer may keep. */
      readonly raw: SharedBytes | Uint8Array<ArrayBuffer>;
      /** Of the raw bytes, where whoever asks has hashed them. */
      readonly hash: Uint8Array | undefined;
    }
  | {
      /** Decompresses a chunk and checks its hash. */
      readonly type: "decode";
      readonly hash: Uint8Array;
      readonly stored: Uint8Array;
      readonly rawBytes: Bytes;
    }
  | {
      /** The same for chunks behind each other, from one place of shared memory to another. */
      readonly type: "decodeRun";
      /** 32 bytes for each. */
      readonly hashes: Uint8Array;
      readonly storedBytes: readonly Bytes[];
      readonly rawBytes: readonly Bytes[];
      readonly memory: SharedArrayBuffer;
      readonly storedFrom: number;
      readonly rawFrom: number;
    };

export type CutJob = Omit<Extract<ContentJob, { type: "cut" }>, "type">;
export type DecodeRunJob = Omit<Extract<ContentJob, { type: "decodeRun" }>, "type">;

/** What became of a cut job. */
export type SegmentRead = SegmentCuts | UnreadPart;

export interface DecodedChunk {
  /** Undefined when what was stored isn't the chunk. */
  readonly raw: Uint8Array<ArrayBuffer> | undefined;
}

export interface DecodedRun {
  readonly isRight: boolean;
}

export type ContentAnswer = SegmentRead | EncodedChunk | DecodedChunk | DecodedRun;

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
  if (job.type === "cut") {
    const buffer = new Uint8Array(job.buffer);
    const unread = readParts(job.root, job.parts, buffer, job.start);
    return unread ?? cutSegment(buffer, job.start, job.end, job.isLast);
  }
  if (job.type === "decode") return { raw: decodeStored(job) };
  if (job.type === "decodeRun") return { isRight: decodeRun(job) };
  const { raw, hash } = job;
  return raw instanceof Uint8Array
    ? encodeRaw(raw, hash, (own) => own)
    : encodeRaw(new Uint8Array(raw.buffer, raw.offset, raw.bytes), hash);
}

/** The stored form of a chunk, sharing no memory with it unless `keep` says so: zstd where that saves at least a tenth. */
export function encodeRaw<Raw extends Uint8Array>(
  raw: Raw,
  known?: Uint8Array,
  keep: (raw: Raw) => Uint8Array = (shared) => new Uint8Array(shared),
): EncodedChunk {
  const hash = known ?? digest(raw);
  // Room for all that can come out: then the library reads and writes in place, instead of through
  // buffers of its own, which takes a quarter more time.
  const packed = zstdCompressSync(raw, {
    chunkSize: raw.length + (raw.length >> 8) + 1024,
    params: zstdParams,
  });
  if (packed.length > raw.length * 0.9) {
    freeBytes(packed);
    return { hash, stored: keep(raw), coding: coding.raw };
  }
  // Copied to its own size: the library's buffer is larger.
  const stored = new Uint8Array(packed);
  freeBytes(packed);
  return { hash, stored, coding: coding.zstd };
}

/** The raw bytes in memory of their own, verified. */
function decodeStored({
  hash,
  stored,
  rawBytes,
}: Omit<Extract<ContentJob, { type: "decode" }>, "type">): Uint8Array<ArrayBuffer> | undefined {
  // One that is longer than promised is told from one that fits.
  const chunkSize = rawBytes + 64;
  try {
    const raw = zstdDecompressSync(stored, { chunkSize, maxOutputLength: rawBytes + 1 });
    if (raw.length !== rawBytes || !digestEquals(digest(raw), hash)) return undefined;
    // Small memory may lie in a pool that others use.
    if (raw.buffer.byteLength !== chunkSize) return new Uint8Array(raw);
    return new Uint8Array(raw.buffer, raw.byteOffset, raw.length);
  } catch {
    return undefined;
  }
}

/** False when one of them isn't what it should be. */
function decodeRun({ hashes, memory, ...run }: DecodeRunJob): boolean {
  let storedAt = run.storedFrom;
  let rawAt = run.rawFrom;
  for (const [index, rawBytes] of run.rawBytes.entries()) {
    const stored = new Uint8Array(memory, storedAt, run.storedBytes[index]);
    const hash = hashes.subarray(index * digestBytes, (index + 1) * digestBytes);
    const raw = decodeStored({ hash, stored, rawBytes });
    if (raw === undefined) return false;
    new Uint8Array(memory, rawAt).set(raw);
    freeBytes(raw);
    storedAt += stored.length;
    rawAt += rawBytes;
  }
  return true;
}

/** Lets go of the bytes that came with a job, unless its answer keeps them. */
export function freeJob(job: ContentJob, answer: ContentAnswer): void {
  if (job.type === "decode") freeBytes(job.stored);
  if (job.type !== "encode" || !(job.raw instanceof Uint8Array)) return;
  const isKept = "stored" in answer && answer.stored.buffer === job.raw.buffer;
  if (!isKept) freeBytes(job.raw);
}

/** What an answer may hand over instead of copying; hashes from the native library can't be. */
export function transfersOf(answer: ContentAnswer): ArrayBuffer[] {
  if ("path" in answer || "isRight" in answer) return [];
  if ("raw" in answer) return answer.raw === undefined ? [] : [answer.raw.buffer];
  const views = "stored" in answer ? [answer.stored] : [answer.ends, answer.hashes];
  return views.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}
