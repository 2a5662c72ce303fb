// What a member keeps of each piece, in neighboring numbers: where the piece stands in the order of
// rarity, how many copies are known, how many of its chunks are still to be asked for and to be held,
// and which peers offer it. A look at a piece is then one look into memory, which is most of what it
// costs where one process has thousands of members.
//
// Peers are known by their places, small numbers that are given again; the records become wider when
// there is a peer at a place beyond.
import { assert } from "../error.ts";
import type { PieceIndex } from "../units.ts";

// Words of a record. From `offersAt` on, bit p % 16 of word p >> 4 is the peer at place p.
const positionAt = 0;
const copiesAt = 1;
const unrequestedAt = 2;
const missingAt = 3;
const offersAt = 4;
const wordBits = 16;
const wordMax = 0xffff;

/** The position of a piece that isn't listed. */
export const unlisted = wordMax;

export class PieceRecords {
  readonly #count: number;
  #width: number = offersAt + 2;
  readonly #wordMax: number;
  #words: Uint16Array | Uint32Array;

  /** So many pieces, of so many chunks at most. Words are longer where chunks are a few bytes each. */
  constructor(count: number, chunksMax: number = wordMax) {
    assert(count < unlisted, "positions are told from none");
    this.#count = count;
    this.#wordMax = chunksMax > wordMax ? 2 ** 32 - 1 : wordMax;
    this.#words = this.#wordsOf(count * this.#width);
    for (let piece = 0; piece < count; piece += 1) this.setPosition(piece, unlisted);
  }

  position(piece: PieceIndex): number {
    return this.#words[piece * this.#width + positionAt] as number;
  }

  setPosition(piece: PieceIndex, position: number): void {
    this.#words[piece * this.#width + positionAt] = position;
  }

  copies(piece: PieceIndex): number {
    return this.#words[piece * this.#width + copiesAt] as number;
  }

  setCopies(piece: PieceIndex, copies: number): void {
    assert(copies >= 0 && copies <= wordMax, "copies are bounded by links");
    this.#words[piece * this.#width + copiesAt] = copies;
  }

  /** Chunks that are neither held nor asked for. */
  unrequested(piece: PieceIndex): number {
    return this.#words[piece * this.#width + unrequestedAt] as number;
  }

  setUnrequested(piece: PieceIndex, chunks: number): void {
    assert(chunks >= 0 && chunks <= this.#wordMax, "a piece has no more chunks than it was said");
    this.#words[piece * this.#width + unrequestedAt] = chunks;
  }

  /** Chunks that aren't held. */
  missing(piece: PieceIndex): number {
    return this.#words[piece * this.#width + missingAt] as number;
  }

  setMissing(piece: PieceIndex, chunks: number): void {
    assert(chunks >= 0 && chunks <= this.#wordMax, "a piece has no more chunks than it was said");
    this.#words[piece * this.#width + missingAt] = chunks;
  }

  /** Whether the peer at a place offers a piece. */
  isOffered(piece: PieceIndex, place: number): boolean {
    const word = this.#words[piece * this.#width + offersAt + (place >> 4)] as number;
    return ((word >> (place & 15)) & 1) === 1;
  }

  setOffered(piece: PieceIndex, place: number): void {
    const at = piece * this.#width + offersAt + (place >> 4);
    this.#words[at] = (this.#words[at] as number) | (1 << (place & 15));
  }

  clearOffered(piece: PieceIndex, place: number): void {
    const at = piece * this.#width + offersAt + (place >> 4);
    this.#words[at] = (this.#words[at] as number) & ~(1 << (place & 15));
  }

  /** Makes room for a peer at a place. */
  widenFor(place: number): void {
    const old = this.#words;
    const oldWidth = this.#width;
    let offerWords = oldWidth - offersAt;
    while (place >= offerWords * wordBits) offerWords *= 2;
    if (offersAt + offerWords === oldWidth) return;
    this.#width = offersAt + offerWords;
    this.#words = this.#wordsOf(this.#count * this.#width);
    for (let piece = 0; piece < this.#count; piece += 1) {
      const from = piece * oldWidth;
      this.#words.set(old.subarray(from, from + oldWidth), piece * this.#width);
    }
  }

  #wordsOf(length: number): Uint16Array | Uint32Array {
    return this.#wordMax > wordMax ? new Uint32Array(length) : new Uint16Array(length);
  }
}
