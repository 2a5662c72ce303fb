// A pack as bytes, version 1: head, stored chunks back to back, one row a chunk, tail.
//
//   head   "SHOALPK1", 16 random bytes (so that no pack has the name of one that is being deleted)
//   row    hash (32), stored bytes, raw bytes, coding: uint32 little-endian each
//   tail   number of rows (uint32), BLAKE3 of head, rows and that number (32), "SHOALPKE"
//
// Chunks begin after the head and follow one another in the order of the rows. The tail says where
// the rows are, so that a pack is one object and is opened by reading its end. The name of a pack
// is the BLAKE3 of the whole. Other codings (a chunk as a patch of another) get other numbers.
import { digestBytes, digestEquals, StreamDigest } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { chunkBytesMax, packBytesMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";

/** How a chunk's stored bytes become its raw bytes. */
export const coding = { raw: 0, zstd: 1 } as const;
export type Coding = (typeof coding)[keyof typeof coding];

export interface PackRow {
  readonly hash: Uint8Array;
  /** From the start of the pack. */
  readonly offset: number;
  readonly storedBytes: Bytes;
  readonly rawBytes: Bytes;
  readonly coding: Coding;
}

const nonceBytes = 16;
const rowBytes = digestBytes + 12;
const startMark: Uint8Array = new TextEncoder().encode("SHOALPK1");
const endMark: Uint8Array = new TextEncoder().encode("SHOALPKE");
/** Where the first chunk of a pack begins. */
export const packHeadBytes: number = startMark.length + nonceBytes;
export const packTailBytes: number = 4 + digestBytes + endMark.length;

export function encodePackHead(nonce: Uint8Array): Uint8Array {
  const head = new Uint8Array(packHeadBytes);
  head.set(startMark);
  head.set(nonce.subarray(0, nonceBytes), startMark.length);
  return head;
}

/** What follows the chunks: rows and tail. */
export function encodePackEnd(head: Uint8Array, rows: readonly PackRow[]): Uint8Array {
  const end = new Uint8Array(rows.length * rowBytes + packTailBytes);
  const view = new DataView(end.buffer);
  let offset = 0;
  for (const row of rows) {
    end.set(row.hash, offset);
    view.setUint32(offset + digestBytes, row.storedBytes, true);
    view.setUint32(offset + digestBytes + 4, row.rawBytes, true);
    view.setUint32(offset + digestBytes + 8, row.coding, true);
    offset += rowBytes;
  }
  view.setUint32(offset, rows.length, true);
  end.set(
    new StreamDigest()
      .update(head)
      .update(end.subarray(0, offset + 4))
      .finish(),
    offset + 4,
  );
  end.set(endMark, offset + 4 + digestBytes);
  return end;
}

/** How many bytes from the end hold rows and tail, from at least the tail. Throws `pack_invalid`. */
export function packEndBytes(end: Uint8Array, packBytes: Bytes): Bytes {
  if (packBytes > packBytesMax) throw invalid("larger than packBytesMax");
  if (end.length < packTailBytes || packBytes < packHeadBytes + packTailBytes)
    throw invalid("too short");
  const tail = end.subarray(end.length - packTailBytes);
  if (!digestEquals(tail.subarray(4 + digestBytes), endMark)) throw invalid("no mark at the end");
  const count = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  const bytes = count * rowBytes + packTailBytes;
  if (bytes > packBytes - packHeadBytes) throw invalid("more rows than bytes");
  return bytes;
}

/** The rows of a pack from its head and exactly its end. Throws `pack_invalid`. */
export function decodePackRows(
  head: Uint8Array,
  end: Uint8Array,
  packBytes: Bytes,
): readonly PackRow[] {
  if (end.length !== packEndBytes(end, packBytes)) throw invalid("rows of another length");
  if (
    head.length !== packHeadBytes ||
    !digestEquals(head.subarray(0, startMark.length), startMark)
  ) {
    throw invalid("no mark at the start");
  }
  const rowsEnd = end.length - packTailBytes;
  const expected = new StreamDigest()
    .update(head)
    .update(end.subarray(0, rowsEnd + 4))
    .finish();
  if (!digestEquals(expected, end.subarray(rowsEnd + 4, rowsEnd + 4 + digestBytes))) {
    throw invalid("rows don't match their hash");
  }
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const rows: PackRow[] = [];
  let offset = packHeadBytes;
  for (let at = 0; at < rowsEnd; at += rowBytes) {
    const storedBytes = view.getUint32(at + digestBytes, true);
    const rawBytes = view.getUint32(at + digestBytes + 4, true);
    const how = view.getUint32(at + digestBytes + 8, true);
    if (rawBytes < 1 || rawBytes > chunkBytesMax) throw invalid("a chunk size isn't allowed");
    if (how !== coding.raw && how !== coding.zstd) throw invalid("a coding that isn't known");
    if (
      how === coding.raw ? storedBytes !== rawBytes : storedBytes < 1 || storedBytes >= rawBytes
    ) {
      throw invalid("a stored size isn't allowed");
    }
    rows.push({
      hash: end.slice(at, at + digestBytes),
      offset,
      storedBytes,
      rawBytes,
      coding: how,
    });
    offset += storedBytes;
  }
  if (offset + end.length !== packBytes) throw invalid("chunks don't fill the pack");
  return rows;
}

function invalid(message: string): ShoalError {
  return new ShoalError("pack_invalid", `pack refused: ${message}`, { blame: "environment" });
}
