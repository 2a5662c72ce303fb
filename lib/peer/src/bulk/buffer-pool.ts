// Memory for frames, used again and again: fresh memory for each costs more than the work on it, and a
// collector that sees small objects only lets it pile up. Keeps a bounded number of free bytes; what is in
// use is bounded by who takes it (requests in flight, upload slots).
import { runBytesMax } from "@shoal/core/limits";
import { kibibyte, type Bytes } from "@shoal/core/units";

const smallestBytes = 64 * kibibyte;
/** A frame's head lies before its run, so that both are written at once. */
const headroomBytes = 64;

export class BufferPool {
  readonly #freeBytesMax: Bytes;
  /** Free buffers by size. */
  readonly #free: Map<Bytes, ArrayBuffer[]> = new Map();
  #freeBytes: Bytes = 0;

  constructor(freeBytesMax: Bytes) {
    this.#freeBytesMax = freeBytesMax;
  }

  /** Memory of exactly this length, with anything in it. */
  take(bytes: Bytes): Uint8Array {
    // Small frames are rare, and rounding them up would cost more memory than it saves.
    if (bytes < smallestBytes / 4) return new Uint8Array(bytes);
    const size = sizeFor(bytes);
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return new Uint8Array(new ArrayBuffer(size), 0, bytes);
    this.#freeBytes -= size;
    return new Uint8Array(buffer, 0, bytes);
  }

  /** What `take` gave and nobody looks at any more. */
  give({ buffer }: Uint8Array): void {
    const size = buffer.byteLength;
    if (!(buffer instanceof ArrayBuffer) || size !== sizeFor(size - headroomBytes)) return;
    if (this.#freeBytes + size > this.#freeBytesMax) {
      // Given back now, not when the collector comes by.
      buffer.transfer(0);
      return;
    }
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
  }
}

function sizeFor(bytes: Bytes): Bytes {
  let size = smallestBytes;
  while (size < bytes - headroomBytes && size < runBytesMax) size *= 2;
  return size + headroomBytes;
}
