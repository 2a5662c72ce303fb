// The virtual clock's queue: events by time, those of the same time in the order they were added, so that
// a run depends on its seed alone. An event is a kind and five numbers, or two and a short list, in one
// run of memory; adding or taking one allocates nothing once the arrays have grown.
//
// Nearly all events are due within milliseconds. Time is cut into short spans: what is due in the present
// span is in a small heap, what is due in one of the next spans is in that span's list, unordered, and
// what is later is in a large heap that is seldom looked at. A single heap would be as deep as the world
// is large, and a miss of the cache at each level.
import { assert } from "@shoal/core/error";
import type { Millis } from "@shoal/core/units";
import { EventHeap } from "./event-heap.ts";

/** Words of an event: when and which (doubles), kind, the next of its span's list, fields. */
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

/** Longest list of an event. */
export const eventListMax: number = 2 * (wordsPerEvent - listAt);
/** Largest number in a list. */
export const eventListValueMax = 0xffff;

const spanMs: Millis = 1 / 16;
const spansCount = 1024;
const none = 0xffff_ffff;

export class EventQueue {
  #words: Uint32Array = new Uint32Array(1024 * wordsPerEvent);
  #doubles: Float64Array = new Float64Array(this.#words.buffer);
  #halves: Uint16Array = new Uint16Array(this.#words.buffer);
  /** The slot of the event that was taken last. */
  #taken = 0;
  readonly #orderOf = (slot: number): number =>
    this.#doubles[slot * doublesPerEvent + orderAt] as number;
  readonly #present = new EventHeap(this.#orderOf);
  readonly #later = new EventHeap(this.#orderOf);
  /** First of each span's list; span s of all time is at s % `spansCount`. */
  readonly #lists = new Uint32Array(spansCount).fill(none);
  /** Events in the lists. */
  #listed = 0;
  /** The span whose events are in the heap. */
  #span = 0;
  #free: Uint32Array = new Uint32Array(1024);
  #freeCount = 0;
  #slotsUsed = 0;
  #order = 0;

  // The event that was taken last.
  at: Millis = 0;
  kind = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  e = 0;

  get size(): number {
    return this.#slotsUsed - this.#freeCount;
  }

  /** How many events were added so far. */
  get added(): number {
    return this.#order;
  }

  add(at: Millis, kind: number, a: number, b = 0, c = 0, d = 0, e = 0): void {
    const slot = this.#begin(at, kind, a, b);
    const word = slot * wordsPerEvent;
    this.#words[word + fieldsAt + 2] = c;
    this.#words[word + fieldsAt + 3] = d;
    this.#words[word + fieldsAt + 4] = e;
    this.#place(at, slot);
  }

  /** Adds an event with a list of at most `eventListMax` numbers up to `eventListValueMax`. */
  addWithList(
    at: Millis,
    kind: number,
    a: number,
    b: number,
    list: Uint32Array,
    length: number,
  ): void {
    assert(length <= eventListMax, "a list fits its event");
    const slot = this.#begin(at, kind | (length << lengthShift), a, b);
    const halves = 2 * (slot * wordsPerEvent + listAt);
    for (let index = 0; index < length; index += 1) {
      this.#halves[halves + index] = list[index] as number;
    }
    this.#place(at, slot);
  }

  /** Copies the list of the event that was taken last; answers its length. Before another is added. */
  readList(into: Uint32Array): number {
    const word = this.#taken * wordsPerEvent;
    const length = (this.#words[word + kindAt] as number) >> lengthShift;
    const halves = 2 * (word + listAt);
    for (let index = 0; index < length; index += 1) {
      into[index] = this.#halves[halves + index] as number;
    }
    return length;
  }

  /** Takes the next event into the fields above. False when there is none. */
  next(): boolean {
    if (this.#present.size === 0 && !this.#advance()) return false;
    const slot = this.#present.take();
    this.#taken = slot;
    const word = slot * wordsPerEvent;
    this.at = this.#doubles[slot * doublesPerEvent + timeAt] as number;
    this.kind = (this.#words[word + kindAt] as number) & ((1 << lengthShift) - 1);
    this.a = this.#words[word + fieldsAt] as number;
    this.b = this.#words[word + fieldsAt + 1] as number;
    this.c = this.#words[word + fieldsAt + 2] as number;
    this.d = this.#words[word + fieldsAt + 3] as number;
    this.e = this.#words[word + fieldsAt + 4] as number;
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
    return true;
  }

  #begin(at: Millis, kind: number, a: number, b: number): number {
    const slot = this.#takeSlot();
    this.#order += 1;
    const double = slot * doublesPerEvent;
    this.#doubles[double + timeAt] = at;
    this.#doubles[double + orderAt] = this.#order;
    const word = slot * wordsPerEvent;
    this.#words[word + kindAt] = kind;
    this.#words[word + fieldsAt] = a;
    this.#words[word + fieldsAt + 1] = b;
    return slot;
  }

  #place(at: Millis, slot: number): void {
    const ahead = at / spanMs - this.#span;
    if (ahead < 1) {
      this.#present.add(at, slot);
    } else if (ahead < spansCount) {
      const list = Math.floor(at / spanMs) % spansCount;
      this.#words[slot * wordsPerEvent + nextAt] = this.#lists[list] as number;
      this.#lists[list] = slot;
      this.#listed += 1;
    } else {
      this.#later.add(at, slot);
    }
  }

  /** Goes to the next span with events. False when there is none. */
  #advance(): boolean {
    do {
      if (this.#listed === 0) {
        if (this.#later.size === 0) return false;
        this.#span = Math.floor(this.#later.firstAt / spanMs);
      } else {
        this.#span += 1;
      }
      const list = this.#span % spansCount;
      let slot = this.#lists[list] as number;
      this.#lists[list] = none;
      while (slot !== none) {
        this.#present.add(this.#doubles[slot * doublesPerEvent + timeAt] as number, slot);
        this.#listed -= 1;
        slot = this.#words[slot * wordsPerEvent + nextAt] as number;
      }
      while (this.#later.firstAt / spanMs - this.#span < spansCount) {
        const at = this.#later.firstAt;
        this.#place(at, this.#later.take());
      }
    } while (this.#present.size === 0);
    return true;
  }

  #takeSlot(): number {
    if (this.#freeCount > 0) {
      this.#freeCount -= 1;
      return this.#free[this.#freeCount] as number;
    }
    if (this.#slotsUsed === this.#free.length) this.#grow();
    this.#slotsUsed += 1;
    return this.#slotsUsed - 1;
  }

  #grow(): void {
    const capacity = this.#free.length * 2;
    assert(capacity <= 2 ** 26, "a world has fewer events under way");
    const words = this.#words;
    this.#words = new Uint32Array(capacity * wordsPerEvent);
    this.#words.set(words);
    this.#doubles = new Float64Array(this.#words.buffer);
    this.#halves = new Uint16Array(this.#words.buffer);
    const free = this.#free;
    this.#free = new Uint32Array(capacity);
    this.#free.set(free);
  }
}
