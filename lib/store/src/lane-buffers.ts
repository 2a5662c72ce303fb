// Memory for chunks that are read only to be hashed or copied, used again and again: fresh memory for each
// costs as much as reading into it, and the collector lets it pile up.
import { chunkBytesMax } from "@shoal/core/limits";
import { assert } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";
import { blockBytes } from "./direct-io.ts";

/** One run of chunks fits into each buffer: up to this many bytes. */
export const laneBytesMax: Bytes = chunkBytesMax;

export class LaneBuffers {
  readonly #free: ArrayBuffer[] = [];

  /**
   * Memory of so many bytes with anything in it; as many are made as are in use at once. It begins `phase` bytes into
   * a block: where it lies in a block of the file that it is written to, `DirectIo` writes it without a copy.
   */
  take(bytes: Bytes, phase: Bytes = 0): Uint8Array<ArrayBuffer> {
    assert(bytes <= laneBytesMax && phase < blockBytes, "a run of chunks fits into a buffer");
    // One that could grow begins at a page's boundary; others don't.
    const byteLength = blockBytes + laneBytesMax;
    const buffer = this.#free.pop() ?? new ArrayBuffer(byteLength, { maxByteLength: byteLength });
    return new Uint8Array(buffer, phase, bytes);
  }

  /** What `take` gave and nobody looks at any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
  }

  /** Gives the memory back now, not when the collector comes by. Nothing may be in use. */
  close(): void {
    for (const buffer of this.#free.splice(0)) buffer.transferToFixedLength(0);
  }
}
