// Pieces in the order of how many copies of them are known, rarest first, ties in random order. A copy
// more or less moves a piece to the next bucket in constant time: buckets are neighboring runs of one
// permutation, so crossing a border is a swap (a counting sort that is kept up).
//
// Invariants: `#order[0 … size)` are the listed pieces by ascending copies; `#starts[c]` is where those
// with at least c copies begin; `#position` is the inverse of `#order` for listed pieces. Copies are
// counted for pieces that aren't listed, too.
import { assert } from "../error.ts";
import type { Prng } from "../prng.ts";
import type { PieceIndex } from "../units.ts";

export class RarityOrder {
  readonly #prng: Prng;
  readonly #copies: Uint16Array;
  readonly #order: Uint32Array;
  readonly #position: Int32Array;
  /** Grows with the largest number of copies seen; the last entry is always `size`. */
  readonly #starts: number[] = [0, 0];
  #size = 0;

  /** No piece is listed yet. */
  constructor(count: number, prng: Prng) {
    this.#prng = prng;
    this.#copies = new Uint16Array(count);
    this.#order = new Uint32Array(count);
    this.#position = new Int32Array(count).fill(-1);
  }

  get size(): number {
    return this.#size;
  }

  /** The listed piece at a place, 0 being among the rarest. */
  at(place: number): PieceIndex {
    return this.#order[place] as number;
  }

  /** The first place whose piece somebody is known to have; `size` when there is none. */
  get firstCopied(): number {
    return this.#starts[1] as number;
  }

  copies(piece: PieceIndex): number {
    return this.#copies[piece] as number;
  }

  has(piece: PieceIndex): boolean {
    return (this.#position[piece] as number) >= 0;
  }

  /** Lists a piece. No-op when it is. */
  add(piece: PieceIndex): void {
    if (this.has(piece)) return;
    const copies = this.copies(piece);
    this.#growTo(copies);
    // A hole opens at the end and moves down to the piece's bucket, one swap a bucket.
    let hole = this.#size;
    this.#size += 1;
    for (let bucket = this.#starts.length - 1; bucket > copies; bucket -= 1) {
      const start = this.#starts[bucket] as number;
      if (start !== hole) this.#put(this.at(start), hole);
      this.#starts[bucket] = start + 1;
      hole = start;
    }
    this.#put(piece, hole);
    this.#shuffleInto(hole, copies);
  }

  /** Takes a piece off the list. No-op when it isn't on it. */
  remove(piece: PieceIndex): void {
    let hole = this.#position[piece] as number;
    if (hole < 0) return;
    for (let bucket = this.copies(piece) + 1; bucket < this.#starts.length; bucket += 1) {
      const last = (this.#starts[bucket] as number) - 1;
      if (last !== hole) this.#put(this.at(last), hole);
      this.#starts[bucket] = last;
      hole = last;
    }
    this.#size -= 1;
    this.#position[piece] = -1;
  }

  increment(piece: PieceIndex): void {
    const copies = this.copies(piece);
    assert(copies < 0xffff, "copies are bounded by links");
    this.#copies[piece] = copies + 1;
    if (!this.has(piece)) return;
    this.#growTo(copies + 1);
    const last = (this.#starts[copies + 1] as number) - 1;
    this.#swap(this.#position[piece] as number, last);
    this.#starts[copies + 1] = last;
    this.#shuffleInto(last, copies + 1);
  }

  decrement(piece: PieceIndex): void {
    const copies = this.copies(piece);
    assert(copies > 0, "a copy that goes was counted");
    this.#copies[piece] = copies - 1;
    if (!this.has(piece)) return;
    const first = this.#starts[copies] as number;
    this.#swap(this.#position[piece] as number, first);
    this.#starts[copies] = first + 1;
    this.#shuffleInto(first, copies - 1);
  }

  /** Gives the piece at `place` a random place among those with as many copies. */
  #shuffleInto(place: number, copies: number): void {
    const start = this.#starts[copies] as number;
    const end = this.#starts[copies + 1] as number;
    if (end - start > 1) this.#swap(place, start + this.#prng.below(end - start));
  }

  #growTo(copies: number): void {
    while (this.#starts.length < copies + 2) this.#starts.push(this.#size);
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    const [atA, atB] = [this.at(a), this.at(b)];
    this.#put(atB, a);
    this.#put(atA, b);
  }

  #put(piece: PieceIndex, place: number): void {
    this.#order[place] = piece;
    this.#position[piece] = place;
  }
}
