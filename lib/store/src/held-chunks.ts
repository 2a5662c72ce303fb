// Which chunks of an artifact are in place: one bit a chunk, bit i of byte i >> 3, as peers say it too.
// Keeps count and sum, so that "how many" and "how much" cost nothing.
import type { Bytes, ChunkIndex } from "@shoal/core/units";

export class HeldChunks {
  readonly #bits: Uint8Array;
  readonly #sizes: Uint32Array;
  #count = 0;
  #bytes: Bytes = 0;

  /** None, or those of `bits`; bits beyond the last chunk are ignored. */
  constructor(sizes: Uint32Array, bits: Uint8Array = new Uint8Array(0)) {
    this.#sizes = sizes;
    this.#bits = new Uint8Array(Math.ceil(sizes.length / 8));
    for (let chunk = 0; chunk < sizes.length; chunk += 1) {
      if (isSet(bits, chunk)) this.add(chunk);
    }
  }

  static all(sizes: Uint32Array): HeldChunks {
    return new HeldChunks(sizes, new Uint8Array(Math.ceil(sizes.length / 8)).fill(0xff));
  }

  get count(): number {
    return this.#count;
  }

  /** Sum of the sizes of the chunks that are held. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#count === this.#sizes.length;
  }

  has(chunk: ChunkIndex): boolean {
    return isSet(this.#bits, chunk);
  }

  add(chunk: ChunkIndex): void {
    if (chunk >= this.#sizes.length || this.has(chunk)) return;
    this.#bits[chunk >> 3] = (this.#bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
    this.#count += 1;
    this.#bytes += this.#sizes[chunk] ?? 0;
  }

  remove(chunk: ChunkIndex): void {
    if (!this.has(chunk)) return;
    this.#bits[chunk >> 3] = (this.#bits[chunk >> 3] ?? 0) & ~(1 << (chunk & 7));
    this.#count -= 1;
    this.#bytes -= this.#sizes[chunk] ?? 0;
  }

  /** A copy of the bits. */
  toBits(): Uint8Array {
    return this.#bits.slice();
  }

  /** The chunks that are held, in order; the set may change while they are walked through. */
  *held(): Generator<ChunkIndex> {
    for (let chunk = 0; chunk < this.#sizes.length; chunk += 1) if (this.has(chunk)) yield chunk;
  }

  /** The others, likewise. */
  *missing(): Generator<ChunkIndex> {
    for (let chunk = 0; chunk < this.#sizes.length; chunk += 1) if (!this.has(chunk)) yield chunk;
  }
}

function isSet(bits: Uint8Array, chunk: ChunkIndex): boolean {
  return (((bits[chunk >> 3] ?? 0) >> (chunk & 7)) & 1) === 1;
}
