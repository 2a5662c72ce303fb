// DAG-CBOR under limits: the only file that sees @ipld/dag-cbor. The library builds an object for
// every item that a sender names, so the heads are walked first without allocating: what has too
// many items, nests too deep or claims more bytes than there are is refused before it costs memory.
// Tags (links to other CIDs), `undefined`, indefinite lengths and short floats are not part of any
// message of ours and are refused.
import { decode, encode } from "@ipld/dag-cbor";
import { remoteError } from "./error.ts";
import type { Bytes } from "./units.ts";

export interface CborLimits {
  readonly bytesMax: Bytes;
  /** Arrays and maps inside one another. */
  readonly depthMax: number;
  /** Items of every kind, keys included. */
  readonly itemsMax: number;
}

/** Encodes plain objects, arrays, strings, safe integers, booleans, null and Uint8Arrays. */
export function encodeCbor(value: unknown): Uint8Array {
  return plain(encode(value));
}

/**
 * Decodes exactly one canonical item: what doesn't come out the same when encoded again is refused.
 * Throws `cbor_invalid` and nothing else. The result is unchecked beyond that; byte strings in it
 * may be views of the input.
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits): unknown {
  if (bytes.length > limits.bytesMax) throw invalid(`more than ${limits.bytesMax} bytes`);
  const problem = shapeProblem(bytes, limits);
  if (problem !== undefined) throw invalid(problem);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes);
    again = encode(value);
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
  if (!sameBytes(bytes, again)) throw invalid("not in canonical form");
  return value;
}

/** Walks the heads of all items; constant memory but for one number a level. */
function shapeProblem(bytes: Uint8Array, limits: CborLimits): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Items still to come in each open array or map, outermost first. */
  const open: number[] = [1];
  let offset = 0;
  let items = 0;
  while (open.length > 0) {
    const level = open.length - 1;
    const left = open[level] as number;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[level] = left - 1;
    items += 1;
    if (items > limits.itemsMax) return `more than ${limits.itemsMax} items`;
    if (offset >= bytes.length) return "ends too early";
    const head = bytes[offset] as number;
    const major = head >> 5;
    const info = head & 31;
    const extra = info < 24 ? 0 : info <= 27 ? 1 << (info - 24) : -1;
    if (extra < 0) return "an indefinite length or a reserved head";
    if (offset + 1 + extra > bytes.length) return "ends too early";
    const argument = readArgument(view, offset + 1, info);
    offset += 1 + extra;
    if (major === 2 || major === 3) {
      if (argument > bytes.length - offset) return "a string longer than what is left";
      offset += argument;
    } else if (major === 4 || major === 5) {
      const count = major === 4 ? argument : argument * 2;
      if (count > bytes.length - offset) return "more items than bytes left";
      if (open.length > limits.depthMax) return `nested deeper than ${limits.depthMax}`;
      open.push(count);
    } else if (major === 6) {
      return "a tag";
    } else if (major === 7 && info !== 20 && info !== 21 && info !== 22 && info !== 27) {
      return "a simple value or float that isn't used";
    }
  }
  return offset === bytes.length ? undefined : "bytes after the end";
}

/** The number in a head; those above 2^53 lose digits, which no length check minds. */
function readArgument(view: DataView, offset: number, info: number): number {
  if (info < 24) return info;
  if (info === 24) return view.getUint8(offset);
  if (info === 25) return view.getUint16(offset);
  if (info === 26) return view.getUint32(offset);
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** Without what Node's Buffer changes about a Uint8Array (`slice` as a view, equality in tests). */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(message: string): Error {
  return remoteError("cbor_invalid", `not valid CBOR: ${message}`);
}
