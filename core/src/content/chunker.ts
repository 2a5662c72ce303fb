// Cuts a byte stream into chunks where its content says so, so that an insertion moves no cut but
// its neighbours (PROTOCOL.md 2.1). Normalised FastCDC (Xia et al., USENIX ATC 2016): a gear hash,
// a strict mask before the aimed size and a loose one after it. Here the hash at a byte depends on
// the 32 bytes that end with it and on nothing else, also just after a cut: cuts don't depend on
// how bytes arrive, and parts of a stream could be searched in parallel.
// The cuts are part of the format: changing one constant makes every old chunk useless.
import { digest } from "../digest.ts";
import { assert } from "../error.ts";
import { chunkBytesMax, chunkBytesMin } from "../limits.ts";
import { kibibyte } from "../units.ts";

/** Bytes that the hash at a point depends on: each is shifted out of its 32 bits after as many more. */
const windowBytes = 32;
/**
 * Where the strict mask gives way to the loose one. Strict: 20 bits, a cut every MiB; loose: 16
 * bits, every 64 KiB. With this point the mean of random data is 256 KiB.
 */
const normalBytes = 210 * kibibyte;
// High bits, because bit k of the hash depends on the last k + 1 bytes only. Bit 31 stays free: two
// steps are taken at a time, and the first one is tested a bit further left (see `search`).
const strictMask = 0x7fff_f800;
const looseMask = 0x7fff_8000;

/** Entry b is the first 4 bytes, little-endian, of BLAKE3("shoal.gear.1" and the byte b). */
const gear: Int32Array = makeGear();
const gearShifted: Int32Array = gear.map((word) => word << 1);
const isLittleEndian = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;
const noWords: Int32Array = new Int32Array(0);

/** No cut yet: more bytes are needed to tell. */
export const noCut = -1;

/**
 * The end of the chunk that begins at `start`, or `noCut` when `end` comes before anybody can tell.
 * `final` says that the stream ends at `end`. `searchedTo` may be the `end` of an earlier call that
 * answered `noCut` for the same chunk: what lies before it isn't searched again.
 */
export function nextCut(
  buffer: Uint8Array,
  start: number,
  end: number,
  final: boolean,
  searchedTo: number = start,
): number {
  const normal = Math.min(start + normalBytes, end);
  const last = Math.min(start + chunkBytesMax, end);
  const first = start + chunkBytesMin;
  if (first < last) {
    const strictFrom = Math.max(first, searchedTo);
    if (strictFrom < normal) {
      const cut = search(buffer, strictFrom, normal, strictMask);
      if (cut !== noCut) return cut;
    }
    const looseFrom = Math.max(start + normalBytes, strictFrom);
    if (looseFrom < last) {
      const cut = search(buffer, looseFrom, last, looseMask);
      if (cut !== noCut) return cut;
    }
  }
  if (last - start === chunkBytesMax || (final && last > start)) return last;
  return noCut;
}

/**
 * The first cut after a byte in from … to - 1 whose hash has no bit of the mask. The loop takes two
 * bytes at a time (FastCDC 2020): the hash after the first is tested one bit to the left. And it loads four
 * at a time, which saves a third of the time (0.61 instead of 0.90 seconds per GiB, node 26.10).
 */
function search(buffer: Uint8Array, from: number, to: number, mask: number): number {
  let hash = 0;
  for (let index = from - windowBytes + 1; index < from; index += 1) {
    hash = ((hash << 1) + (gear[buffer[index] as number] as number)) | 0;
  }
  let index = from;
  const wordsFrom = Math.min(from + (-(buffer.byteOffset + from) & 3), to);
  for (; index < wordsFrom; index += 1) {
    hash = ((hash << 1) + (gear[buffer[index] as number] as number)) | 0;
    if ((hash & mask) === 0) return index + 1;
  }
  const words = wordsIn(buffer, index, to);
  const shiftedMask = mask << 1;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as number;
    hash = ((hash << 2) + (gearShifted[word & 0xff] as number)) | 0;
    if ((hash & shiftedMask) === 0) return index + 4 * at + 1;
    hash = (hash + (gear[(word >>> 8) & 0xff] as number)) | 0;
    if ((hash & mask) === 0) return index + 4 * at + 2;
    hash = ((hash << 2) + (gearShifted[(word >>> 16) & 0xff] as number)) | 0;
    if ((hash & shiftedMask) === 0) return index + 4 * at + 3;
    hash = (hash + (gear[word >>> 24] as number)) | 0;
    if ((hash & mask) === 0) return index + 4 * at + 4;
  }
  for (index += 4 * words.length; index < to; index += 1) {
    hash = ((hash << 1) + (gear[buffer[index] as number] as number)) | 0;
    if ((hash & mask) === 0) return index + 1;
  }
  return noCut;
}

/** The whole words of a buffer from `from` on, which must be where one begins; none on a big-endian machine. */
function wordsIn(buffer: Uint8Array, from: number, to: number): Int32Array {
  const count = isLittleEndian ? (to - from) >> 2 : 0;
  return count === 0 ? noWords : new Int32Array(buffer.buffer, buffer.byteOffset + from, count);
}

/**
 * `nextCut` for a stream in portions of any size: `push` one, then `next` until it answers
 * undefined, and after the last portion `finish` and `next` once more until undefined. A chunk that
 * lies in one portion is a view of it; others are copied. So a portion must stay unchanged for as
 * long as its chunks are used. Holds less than one chunk between portions.
 */
export class Chunker {
  /** What came before the portion and isn't cut yet; filled up to `#carried`. */
  readonly #carry: Uint8Array = new Uint8Array(chunkBytesMax);
  #carried = 0;
  #searchedTo = 0;
  #portion: Uint8Array = new Uint8Array(0);
  #consumed = 0;
  #finished = false;

  push(portion: Uint8Array): void {
    assert(!this.#finished, "nothing is pushed after the end");
    assert(this.#consumed === this.#portion.length, "chunks are drained before more is pushed");
    this.#portion = portion;
    this.#consumed = 0;
  }

  /** The stream ends with what was pushed. */
  finish(): void {
    this.#finished = true;
  }

  next(): Uint8Array | undefined {
    return this.#carried > 0 ? this.#nextCarried() : this.#nextInPortion();
  }

  #nextInPortion(): Uint8Array | undefined {
    const start = this.#consumed;
    const cut = nextCut(this.#portion, start, this.#portion.length, this.#finished);
    if (cut !== noCut) {
      this.#consumed = cut;
      return this.#portion.subarray(start, cut);
    }
    this.#append(this.#portion.length - start);
    this.#searchedTo = this.#carried;
    return undefined;
  }

  #nextCarried(): Uint8Array | undefined {
    const before = this.#carried;
    this.#append(Math.min(this.#portion.length - this.#consumed, chunkBytesMax - before));
    const cut = nextCut(this.#carry, 0, this.#carried, this.#finished, this.#searchedTo);
    if (cut === noCut) {
      this.#searchedTo = this.#carried;
      return undefined;
    }
    // What was taken beyond the cut stays in the portion. Before it there was no cut, so the cut
    // is never before what earlier portions brought.
    this.#consumed -= this.#carried - cut;
    this.#carried = 0;
    this.#searchedTo = 0;
    return this.#carry.slice(0, cut);
  }

  #append(count: number): void {
    this.#carry.set(this.#portion.subarray(this.#consumed, this.#consumed + count), this.#carried);
    this.#carried += count;
    this.#consumed += count;
  }
}

function makeGear(): Int32Array {
  const encoder = new TextEncoder();
  const table = new Int32Array(256);
  const input = Uint8Array.from([...encoder.encode("shoal.gear.1"), 0]);
  for (let byte = 0; byte < 256; byte += 1) {
    input[input.length - 1] = byte;
    const hash = digest(input);
    table[byte] = new DataView(hash.buffer, hash.byteOffset, hash.byteLength).getInt32(0, true);
  }
  return table;
}
