// A four-ary heap of events by time, those of the same time by their order. What an event is, and its
// order, is kept elsewhere, by slot.
import type { Millis } from "@shoal/core/units";

const arity = 4;

export class EventHeap {
  readonly #orderOf: (slot: number) => number;
  #times = new Float64Array(1024);
  #slots = new Uint32Array(1024);
  #size = 0;

  constructor(orderOf: (slot: number) => number) {
    this.#orderOf = orderOf;
  }

  get size(): number {
    return this.#size;
  }

  /** When the first is due; Infinity when there is none. */
  get firstAt(): Millis {
    return this.#size === 0 ? Infinity : (this.#times[0] as number);
  }

  add(at: Millis, slot: number): void {
    if (this.#size === this.#slots.length) this.#grow();
    const times = this.#times;
    const slots = this.#slots;
    let place = this.#size;
    this.#size += 1;
    while (place > 0) {
      const parent = ((place - 1) / arity) | 0;
      const parentAt = times[parent] as number;
      if (parentAt < at || (parentAt === at && this.#isOlder(slots[parent] as number, slot))) break;
      times[place] = parentAt;
      slots[place] = slots[parent] as number;
      place = parent;
    }
    times[place] = at;
    slots[place] = slot;
  }

  /** Takes the first, and answers its slot. Only when there is one. */
  take(): number {
    const taken = this.#slots[0] as number;
    this.#size -= 1;
    if (this.#size > 0) this.#siftDown();
    return taken;
  }

  /** Moves the last one from the top to where it belongs. */
  #siftDown(): void {
    const times = this.#times;
    const slots = this.#slots;
    const size = this.#size;
    const at = times[size] as number;
    const slot = slots[size] as number;
    let place = 0;
    for (;;) {
      const first = place * arity + 1;
      if (first >= size) break;
      const end = Math.min(first + arity, size);
      let child = first;
      let childAt = times[first] as number;
      for (let other = first + 1; other < end; other += 1) {
        const otherAt = times[other] as number;
        if (otherAt > childAt) continue;
        if (otherAt === childAt && !this.#isOlder(slots[other] as number, slots[child] as number)) {
          continue;
        }
        child = other;
        childAt = otherAt;
      }
      const childSlot = slots[child] as number;
      if (childAt > at || (childAt === at && this.#isOlder(slot, childSlot))) break;
      times[place] = childAt;
      slots[place] = childSlot;
      place = child;
    }
    times[place] = at;
    slots[place] = slot;
  }

  #isOlder(slot: number, than: number): boolean {
    return this.#orderOf(slot) < this.#orderOf(than);
  }

  #grow(): void {
    const [times, slots] = [this.#times, this.#slots];
    this.#times = new Float64Array(2 * times.length);
    this.#times.set(times);
    this.#slots = new Uint32Array(2 * slots.length);
    this.#slots.set(slots);
  }
}
