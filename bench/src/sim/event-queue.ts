// The virtual clock's queue: events by time, those of the same time in the order they were added, so that
// a run depends on its seed alone. A four-ary heap over typed arrays; an event is a kind and five
// numbers, and adding or taking one allocates nothing once the arrays have grown.
import { assert } from "@shoal/core/error";
import type { Millis } from "@shoal/core/units";

const arity = 4;

export class EventQueue {
  /** Heap places: when, and which record. Records added earlier have smaller orders. */
  #times = new Float64Array(1024);
  #slots = new Uint32Array(1024);
  #size = 0;
  /** Records by slot. */
  #orders = new Float64Array(1024);
  #kinds = new Uint8Array(1024);
  #fields = new Uint32Array(1024 * 5);
  #free = new Uint32Array(1024);
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
    return this.#size;
  }

  /** How many events were added so far. */
  get added(): number {
    return this.#order;
  }

  add(at: Millis, kind: number, a: number, b = 0, c = 0, d = 0, e = 0): void {
    const slot = this.#takeSlot();
    this.#order += 1;
    this.#orders[slot] = this.#order;
    this.#kinds[slot] = kind;
    const base = slot * 5;
    this.#fields[base] = a;
    this.#fields[base + 1] = b;
    this.#fields[base + 2] = c;
    this.#fields[base + 3] = d;
    this.#fields[base + 4] = e;
    this.#siftUp(at, slot);
  }

  /** Takes the next event into the fields above. False when there is none. */
  next(): boolean {
    if (this.#size === 0) return false;
    const slot = this.#slots[0] as number;
    this.at = this.#times[0] as number;
    this.kind = this.#kinds[slot] as number;
    const base = slot * 5;
    this.a = this.#fields[base] as number;
    this.b = this.#fields[base + 1] as number;
    this.c = this.#fields[base + 2] as number;
    this.d = this.#fields[base + 3] as number;
    this.e = this.#fields[base + 4] as number;
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
    this.#size -= 1;
    if (this.#size > 0) {
      this.#siftDown(this.#times[this.#size] as number, this.#slots[this.#size] as number);
    }
    return true;
  }

  #takeSlot(): number {
    if (this.#freeCount > 0) {
      this.#freeCount -= 1;
      return this.#free[this.#freeCount] as number;
    }
    if (this.#slotsUsed === this.#kinds.length) this.#grow();
    this.#slotsUsed += 1;
    return this.#slotsUsed - 1;
  }

  #grow(): void {
    const capacity = this.#kinds.length * 2;
    assert(capacity <= 2 ** 28, "a world has fewer events under way");
    this.#times = copied(this.#times, new Float64Array(capacity));
    this.#slots = copied(this.#slots, new Uint32Array(capacity));
    this.#orders = copied(this.#orders, new Float64Array(capacity));
    this.#kinds = copied(this.#kinds, new Uint8Array(capacity));
    this.#fields = copied(this.#fields, new Uint32Array(capacity * 5));
    this.#free = copied(this.#free, new Uint32Array(capacity));
  }

  #siftUp(at: Millis, slot: number): void {
    const times = this.#times;
    const slots = this.#slots;
    let place = this.#size;
    this.#size += 1;
    // Whatever is there already was added earlier: it stays in front at the same time.
    while (place > 0) {
      const parent = ((place - 1) / arity) | 0;
      const parentAt = times[parent] as number;
      if (parentAt <= at) break;
      times[place] = parentAt;
      slots[place] = slots[parent] as number;
      place = parent;
    }
    times[place] = at;
    slots[place] = slot;
  }

  #siftDown(at: Millis, slot: number): void {
    const times = this.#times;
    const slots = this.#slots;
    const size = this.#size;
    const order = this.#orders[slot] as number;
    let place = 0;
    for (;;) {
      const first = place * arity + 1;
      if (first >= size) break;
      const end = Math.min(first + arity, size);
      let child = first;
      for (let other = first + 1; other < end; other += 1) {
        const [otherAt, childAt] = [times[other] as number, times[child] as number];
        if (otherAt < childAt || (otherAt === childAt && this.#isOlder(other, child))) {
          child = other;
        }
      }
      const childAt = times[child] as number;
      const childSlot = slots[child] as number;
      if (childAt > at || (childAt === at && (this.#orders[childSlot] as number) > order)) break;
      times[place] = childAt;
      slots[place] = childSlot;
      place = child;
    }
    times[place] = at;
    slots[place] = slot;
  }

  #isOlder(place: number, than: number): boolean {
    const slot = this.#slots[place] as number;
    const other = this.#slots[than] as number;
    return (this.#orders[slot] as number) < (this.#orders[other] as number);
  }
}

function copied<A extends Float64Array | Uint32Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
