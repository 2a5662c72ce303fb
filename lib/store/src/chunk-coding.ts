// Chunks from their stored form to their raw one, in libuv's threads; content-jobs.ts has the other way.
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { digest, digestEquals, toHex } from "@shoal/core/digest";
import { remoteError, ShoalError } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";
import type { StoredChunk } from "./content-jobs.ts";
import { coding } from "./pack-format.ts";

const decompress = promisify(zstdDecompress);

/** The raw bytes, verified. Throws `chunk_damaged`. */
export async function decodeChunk(
  hash: Uint8Array,
  chunk: StoredChunk,
  rawBytes: Bytes,
): Promise<Uint8Array> {
  const raw =
    chunk.coding === coding.raw ? chunk.stored : await unpack(hash, chunk.stored, rawBytes);
  if (raw.length !== rawBytes || !digestEquals(digest(raw), hash)) throw damagedChunk(hash);
  return raw;
}

async function unpack(hash: Uint8Array, stored: Uint8Array, rawBytes: Bytes): Promise<Uint8Array> {
  try {
    // Room for more than promised: a longer one is told from one that fits, and a buffer that is full at
    // the end makes the library get another.
    return await decompress(stored, {
      chunkSize: rawBytes + 64,
      maxOutputLength: rawBytes + 1,
    });
  } catch (cause) {
    throw damagedChunk(hash, cause);
  }
}

/** What is thrown for a stored chunk that can't be used. */
export function damagedChunk(hash: Uint8Array, cause?: unknown): ShoalError {
  return new ShoalError("chunk_damaged", `stored chunk ${toHex(hash)} isn't what it was`, {
    blame: "environment",
    retryable: true,
    hint: "It is treated as missing from now on; publishing or replicating it again repairs it.",
    cause,
  });
}

/** What is thrown for a run that isn't as long as its chunks. */
export function wrongLength(): ShoalError {
  return new ShoalError("chunk_damaged", "chunks aren't as long as they should be", {
    blame: "environment",
  });
}

/** What is thrown for bytes that have another hash than was said. */
export function mismatchedChunk(hash: Uint8Array): ShoalError {
  return remoteError("chunk_mismatch", `these bytes aren't chunk ${toHex(hash)}`);
}
