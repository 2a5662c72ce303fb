// Pieces in the order of how many copies of them are known, rarest first, ties in random order. A copy
// more or less moves a piece to the next bucket in constant time: buckets are neighboring runs of one
// permutation, so crossing a border is a swap (a counting sort that is kept up).
//
// Invariants: `#order[0 … size)` are the listed pieces by ascending copies; `#starts[c]` is where those
// with at least c copies begin; a record's position is the inverse of `#order` for listed pieces. Copies
// are counted for pieces that aren't listed, too.
import { assert } from "../error.ts";
import type { Prng } from "../prng.ts";
import type { PieceIndex } from "../units.ts";
import { PieceRecords, unlisted } from "./piece-records.ts";

export class RarityOrder {
  readonly #prng: Prng;
  readonly #records: PieceRecords;
  readonly #order: Uint16Array;
  /** Grows with the largest number of copies seen; the last entry is always `size`. */
  readonly #starts: number[] = [0, 0];
  #size = 0;

  /** No piece is listed yet. Of the records, positions and copies are this order's. */
  constructor(count: number, prng: Prng, records: PieceRecords = new PieceRecords(count)) {
    this.#prng = prng;
    this.#records = records;
    this.#order = new Uint16Array(count);
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
    return this.#records.copies(piece);
  }

  has(piece: PieceIndex): boolean {
    return this.#records.position(piece) !== unlisted;
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
    let hole = this.#records.position(piece);
    if (hole === unlisted) return;
    for (let bucket = this.copies(piece) + 1; bucket < this.#starts.length; bucket += 1) {
      const last = (this.#starts[bucket] as number) - 1;
      if (last !== hole) this.#put(this.at(last), hole);
      this.#starts[bucket] = last;
      hole = last;
    }
    this.#size -= 1;
    this.#records.setPosition(piece, unlisted);
  }

  increment(piece: PieceIndex): void {
    const copies = this.copies(piece);
    this.#records.setCopies(piece, copies + 1);
    const position = this.#records.position(piece);
    if (position === unlisted) return;
    this.#growTo(copies + 1);
    const last = (this.#starts[copies + 1] as number) - 1;
    this.#swap(position, last);
    this.#starts[copies + 1] = last;
    this.#shuffleInto(last, copies + 1);
  }

  decrement(piece: PieceIndex): void {
    const copies = this.copies(piece);
    assert(copies > 0, "a copy that goes was counted");
    this.#records.setCopies(piece, copies - 1);
    const position = this.#records.position(piece);
    if (position === unlisted) return;
    const first = this.#starts[copies] as number;
    this.#swap(position, first);
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
    this.#records.setPosition(piece, place);
  }
}
