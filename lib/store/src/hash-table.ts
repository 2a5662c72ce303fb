// Millions of 32-byte hashes in flat memory: open addressing over slots that keep their number until
// removed, so that a caller can keep columns of facts beside them. About 40 bytes a hash. Hashes
// come from outside: the bucket is chosen with secret factors, so that nobody can aim at one.
import { getRandomValues } from "node:crypto";
import { digestBytes } from "@shoal/core/digest";
import { assert } from "@shoal/core/error";

/** No such hash. */
export const noSlot = -1;

const emptyBucket = -1;
const removedBucket = -2;
const slotsFirst = 1024;

export class HashTable {
  #hashes: Uint8Array<ArrayBuffer> = new Uint8Array(slotsFirst * digestBytes);
  /** Slot numbers, or one of the two marks; always a power of two, at most three quarters used. */
  #buckets: Int32Array<ArrayBuffer> = new Int32Array(slotsFirst * 2).fill(emptyBucket);
  #bucketsUsed = 0;
  readonly #free: number[] = [];
  /** Slots below this have been given out at some time. */
  #slotsEnd = 0;
  readonly #factors: Uint32Array = getRandomValues(new Uint32Array(2)).map((factor) => factor | 1);

  /** Hashes in the table. */
  get size(): number {
    return this.#slotsEnd - this.#free.length;
  }

  /** Slots are numbers below this; not all of them hold a hash. */
  get slotsEnd(): number {
    return this.#slotsEnd;
  }

  /** How many slots a column needs so that `slot` always fits; grows by doubling. */
  get capacity(): number {
    return this.#hashes.length / digestBytes;
  }

  /** The slot of the hash at `offset` in `bytes`, or `noSlot`. */
  find(bytes: Uint8Array, offset: number = 0): number {
    const mask = this.#buckets.length - 1;
    for (let at = this.#bucketOf(bytes, offset) & mask; ; at = (at + 1) & mask) {
      const slot = this.#buckets[at] as number;
      if (slot === emptyBucket) return noSlot;
      if (slot >= 0 && this.#holds(slot, bytes, offset)) return slot;
    }
  }

  has(bytes: Uint8Array, offset: number = 0): boolean {
    return this.find(bytes, offset) !== noSlot;
  }

  /** The slot of the hash, a new one when it isn't in the table. */
  add(bytes: Uint8Array, offset: number = 0): number {
    const found = this.find(bytes, offset);
    if (found !== noSlot) return found;
    if ((this.#bucketsUsed + 1) * 4 > this.#buckets.length * 3) this.#rehash();
    const slot = this.#free.pop() ?? this.#slotsEnd;
    if (slot === this.#slotsEnd) this.#slotsEnd += 1;
    if (slot >= this.capacity) {
      this.#hashes = new Uint8Array(this.#hashes.buffer.transfer(this.#hashes.length * 2));
    }
    this.#hashes.set(bytes.subarray(offset, offset + digestBytes), slot * digestBytes);
    this.#place(slot, bytes, offset);
    return slot;
  }

  /** Adds every hash of a list. */
  addAll(hashes: Uint8Array): void {
    assert(hashes.length % digestBytes === 0, "a list of hashes is whole");
    for (let offset = 0; offset < hashes.length; offset += digestBytes) this.add(hashes, offset);
  }

  /** Frees a slot that holds a hash; its number may be given out again. */
  remove(slot: number): void {
    const mask = this.#buckets.length - 1;
    const offset = slot * digestBytes;
    for (let at = this.#bucketOf(this.#hashes, offset) & mask; ; at = (at + 1) & mask) {
      const found = this.#buckets[at] as number;
      assert(found !== emptyBucket, `slot ${slot} holds no hash`);
      if (found !== slot) continue;
      this.#buckets[at] = removedBucket;
      this.#free.push(slot);
      return;
    }
  }

  /** The hash in a slot: a view that is valid until the table changes. */
  hashOf(slot: number): Uint8Array {
    return this.#hashes.subarray(slot * digestBytes, (slot + 1) * digestBytes);
  }

  #holds(slot: number, bytes: Uint8Array, offset: number): boolean {
    const start = slot * digestBytes;
    for (let index = 0; index < digestBytes; index += 1) {
      if (this.#hashes[start + index] !== bytes[offset + index]) return false;
    }
    return true;
  }

  /** Multiply-add of two words with secret odd factors, folded down. */
  #bucketOf(bytes: Uint8Array, offset: number): number {
    const mixed =
      Math.imul(word(bytes, offset), this.#factors[0] as number) +
      Math.imul(word(bytes, offset + 4), this.#factors[1] as number);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  #place(slot: number, bytes: Uint8Array, offset: number): void {
    const mask = this.#buckets.length - 1;
    let at = this.#bucketOf(bytes, offset) & mask;
    while ((this.#buckets[at] as number) >= 0) at = (at + 1) & mask;
    if (this.#buckets[at] === emptyBucket) this.#bucketsUsed += 1;
    this.#buckets[at] = slot;
  }

  /** New buckets without the removed marks, twice as many when the hashes need them. */
  #rehash(): void {
    const slots = this.#buckets.filter((slot) => slot >= 0);
    const length =
      slots.length * 2 > this.#buckets.length ? this.#buckets.length * 2 : this.#buckets.length;
    this.#buckets = new Int32Array(length).fill(emptyBucket);
    this.#bucketsUsed = 0;
    for (const slot of slots) this.#place(slot, this.#hashes, slot * digestBytes);
  }
}

function word(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] as number) |
    ((bytes[offset + 1] as number) << 8) |
    ((bytes[offset + 2] as number) << 16) |
    ((bytes[offset + 3] as number) << 24)
  );
}
