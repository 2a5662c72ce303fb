// The virtual clock's queue: events by time, those of the same time in the order they were added, so that
// a run depends on its seed alone. Adding or taking one allocates nothing once the arrays have grown.
//
// Nearly all events are due within milliseconds. Time is cut into short spans: what is due in the present
// span is in a small heap, what is due in one of the next spans is in that span's list, unordered, and
// what is later is in a large heap that is seldom looked at. A single heap would be as deep as the world
// is large, and a miss of the cache at each level.
import { assert } from "@shoal/core/error";
import type { Millis } from "@shoal/core/units";
import { EventHeap } from "./event-heap.ts";
import { eventBytes, EventRecords } from "./event-records.ts";

const spanMs: Millis = 1 / 16;
const spansCount = 1024;
const none = 0xffff_ffff;

export class EventQueue {
  #records = new EventRecords(new ArrayBuffer(1024 * eventBytes));
  /** The slot of the event that was taken last. */
  #taken = 0;
  readonly #orderOf = (slot: number): number => this.#records.orderOf(slot);
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
    const slot = this.#takeSlot();
    this.#records.set(slot, at, kind, a, b, c, d, e);
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
    const slot = this.#takeSlot();
    this.#records.setList(slot, at, kind, a, b, list, length);
    this.#place(at, slot);
  }

  /** Adds what another queue would have: a record of somebody else's. */
  addCopy(records: EventRecords, record: number): void {
    const slot = this.#takeSlot();
    this.#records.copy(slot, records, record);
    this.#place(records.timeOf(record), slot);
  }

  /** Copies the list of the event that was taken last; answers its length. Before another is added. */
  readList(into: Uint32Array): number {
    return this.#records.readList(this.#taken, into);
  }

  /** Takes the next event that is due before a time into the fields above. False when there is none. */
  next(beforeMs: Millis = Infinity): boolean {
    if (this.#present.size === 0 && !this.#advance()) return false;
    if (this.#present.firstAt >= beforeMs) return false;
    const slot = this.#present.take();
    const records = this.#records;
    this.#taken = slot;
    this.at = records.timeOf(slot);
    this.kind = records.kindOf(slot);
    this.a = records.fieldOf(slot, 0);
    this.b = records.fieldOf(slot, 1);
    this.c = records.fieldOf(slot, 2);
    this.d = records.fieldOf(slot, 3);
    this.e = records.fieldOf(slot, 4);
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
    return true;
  }

  #place(at: Millis, slot: number): void {
    this.#order += 1;
    this.#records.setOrder(slot, this.#order);
    this.#file(at, slot);
  }

  /** Where an event of a time belongs. */
  #file(at: Millis, slot: number): void {
    const ahead = at / spanMs - this.#span;
    if (ahead < 1) {
      this.#present.add(at, slot);
    } else if (ahead < spansCount) {
      const list = Math.floor(at / spanMs) % spansCount;
      this.#records.setNext(slot, this.#lists[list] as number);
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
        this.#present.add(this.#records.timeOf(slot), slot);
        this.#listed -= 1;
        slot = this.#records.nextOf(slot);
      }
      while (this.#later.firstAt / spanMs - this.#span < spansCount) {
        const at = this.#later.firstAt;
        this.#file(at, this.#later.take());
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
    const records = new EventRecords(new ArrayBuffer(capacity * eventBytes));
    records.takeAll(this.#records);
    this.#records = records;
    const free = this.#free;
    this.#free = new Uint32Array(capacity);
    this.#free.set(free);
  }
}
