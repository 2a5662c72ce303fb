// Events as records in one run of memory, which may be shared with another thread: a kind and five numbers, or
// two and a short list. Who keeps them says which record is whose.
import { assert } from "@shoal/core/error";
import type { Bytes, Millis } from "@shoal/core/units";

/** Words of an event: when and which (doubles), kind, the next of its list, fields. */
const wordsPerEvent = 16;
const doublesPerEvent = wordsPerEvent / 2;
const timeAt = 0;
const orderAt = 1;
const kindAt = 4;
const nextAt = 5;
const fieldsAt = 6;
/** A list takes the place of the third field and those behind, two numbers in a word. */
const listAt = 8;
const lengthShift = 8;

export const eventBytes: Bytes = 4 * wordsPerEvent;
/** Longest list of an event. */
export const eventListMax: number = 2 * (wordsPerEvent - listAt);
/** Largest number in a list. */
export const eventListValueMax = 0xffff;

export class EventRecords {
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #halves: Uint16Array;

  /** As many as fit into `bytes` of the memory from `begin` on. */
  constructor(memory: ArrayBufferLike, begin: Bytes = 0, bytes: Bytes = memory.byteLength) {
    this.#words = new Uint32Array(memory, begin, bytes / 4);
    this.#doubles = new Float64Array(memory, begin, bytes / 8);
    this.#halves = new Uint16Array(memory, begin, bytes / 2);
  }

  get capacity(): number {
    return this.#words.length / wordsPerEvent;
  }

  set(
    record: number,
    at: Millis,
    kind: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
  ): void {
    this.#begin(record, at, kind, a, b);
    const word = record * wordsPerEvent + fieldsAt;
    this.#words[word + 2] = c;
    this.#words[word + 3] = d;
    this.#words[word + 4] = e;
  }

  /** With a list of at most `eventListMax` numbers up to `eventListValueMax`. */
  setList(
    record: number,
    at: Millis,
    kind: number,
    a: number,
    b: number,
    list: Uint32Array,
    length: number,
  ): void {
    assert(length <= eventListMax, "a list fits its event");
    this.#begin(record, at, kind | (length << lengthShift), a, b);
    const halves = 2 * (record * wordsPerEvent + listAt);
    for (let index = 0; index < length; index += 1) {
      this.#halves[halves + index] = list[index] as number;
    }
  }

  /** Copies the list of an event; answers its length. */
  readList(record: number, into: Uint32Array): number {
    const word = record * wordsPerEvent;
    const length = (this.#words[word + kindAt] as number) >> lengthShift;
    const halves = 2 * (word + listAt);
    for (let index = 0; index < length; index += 1) {
      into[index] = this.#halves[halves + index] as number;
    }
    return length;
  }

  timeOf(record: number): Millis {
    return this.#doubles[record * doublesPerEvent + timeAt] as number;
  }

  /** Which of those of the same time comes first. */
  orderOf(record: number): number {
    return this.#doubles[record * doublesPerEvent + orderAt] as number;
  }

  setOrder(record: number, order: number): void {
    this.#doubles[record * doublesPerEvent + orderAt] = order;
  }

  nextOf(record: number): number {
    return this.#words[record * wordsPerEvent + nextAt] as number;
  }

  setNext(record: number, next: number): void {
    this.#words[record * wordsPerEvent + nextAt] = next;
  }

  kindOf(record: number): number {
    return (this.#words[record * wordsPerEvent + kindAt] as number) & ((1 << lengthShift) - 1);
  }

  /** One of its five numbers. */
  fieldOf(record: number, field: number): number {
    return this.#words[record * wordsPerEvent + fieldsAt + field] as number;
  }

  /** Takes over all records of others that aren't more. */
  takeAll(others: EventRecords): void {
    this.#words.set(others.#words);
  }

  copy(record: number, from: EventRecords, fromRecord: number): void {
    const source = fromRecord * wordsPerEvent;
    const target = record * wordsPerEvent;
    const words = from.#words;
    for (let word = 0; word < wordsPerEvent; word += 1) {
      this.#words[target + word] = words[source + word] as number;
    }
  }

  #begin(record: number, at: Millis, kind: number, a: number, b: number): void {
    this.#doubles[record * doublesPerEvent + timeAt] = at;
    const word = record * wordsPerEvent;
    this.#words[word + kindAt] = kind;
    this.#words[word + fieldsAt] = a;
    this.#words[word + fieldsAt + 1] = b;
  }
}
