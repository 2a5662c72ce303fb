// Memory for chunks that are read only to be hashed or copied, used again and again: fresh memory for each
// costs as much as reading into it, and the collector lets it pile up.
import { chunkBytesMax } from "@shoal/core/limits";
import { assert } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";

/**
 * Where bytes that are read from files begin in large memory. Not at its start: that is 16 bytes into a page, and
 * some processors (AMD Zen 3) copy from the page cache to just there at a sixth of their speed, 0.68 instead
 * of 0.11 seconds per GiB.
 */
export const readOffset = 128;

/** One run of chunks fits into each buffer: up to this many bytes. */
export const laneBytesMax: Bytes = chunkBytesMax;

export class LaneBuffers {
  readonly #free: ArrayBuffer[] = [];

  /** Memory of so many bytes with anything in it; as many are made as are in use at once. */
  take(bytes: Bytes): Uint8Array<ArrayBuffer> {
    assert(bytes <= laneBytesMax, "a run of chunks fits into a buffer");
    const buffer = this.#free.pop() ?? new ArrayBuffer(readOffset + laneBytesMax);
    return new Uint8Array(buffer, readOffset, bytes);
  }

  /** What `take` gave and nobody looks at any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
  }

  /** Gives the memory back now, not when the collector comes by. Nothing may be in use. */
  close(): void {
    for (const buffer of this.#free.splice(0)) buffer.transfer(0);
  }
}
