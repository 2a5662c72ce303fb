// Memory for frames, used again and again: fresh memory for each costs more than the work on it, and a
// collector that hears of much new memory looks through everything each time. Keeps a bounded number of free
// bytes, and none when nothing was taken for a while; what is in use is bounded by who takes it (requests in
// flight, upload slots).
//
// A run lies in it as it lies in its file, counted from a block's boundary: so what is received can go past
// the page cache without being copied first (direct-io.ts of lib/store).
import { chunkBytesMax, runBytesMax } from "@shoal/core/limits";
import { kibibyte, secondMs, type Bytes, type Millis } from "@shoal/core/units";
import { blockBytes } from "@shoal/store/direct-io";

const smallestBytes = 64 * kibibyte;
const keptMs: Millis = 10 * secondMs;
/** Before a run is room for a frame's head, and it may begin anywhere in the block after that. */
const slackBytes: Bytes = 2 * blockBytes;

export interface Placed {
  /** How far beyond a block's boundary the run begins. */
  readonly phase?: Bytes;
  /** What lies directly before it and belongs to the same frame. */
  readonly headBytes?: Bytes;
}

export class BufferPool {
  readonly #freeBytesMax: Bytes;
  /** Free buffers by size. */
  readonly #free: Map<Bytes, ArrayBuffer[]> = new Map();
  /** How much of each was ever used: the system gives memory only to that. */
  readonly #usedBytes: WeakMap<ArrayBuffer, Bytes> = new WeakMap();
  #freeBytes: Bytes = 0;
  /** Free buffers go when it fires and nothing was taken since the last time. */
  #rest: NodeJS.Timeout | undefined;
  #wasUsed = false;

  constructor(freeBytesMax: Bytes) {
    this.#freeBytesMax = freeBytesMax;
  }

  /** Memory for a run of exactly this length, and the head before it, with anything in it. */
  take(bytes: Bytes, { phase = 0, headBytes = 0 }: Placed = {}): Uint8Array {
    const length = headBytes + bytes;
    // Small frames are rare, and rounding them up would cost more memory than it saves.
    if (bytes < smallestBytes / 4) return new Uint8Array(length);
    const size = sizeFor(bytes);
    const start = blockBytes + phase - headBytes;
    this.#wasUsed = true;
    let buffer = this.#takeFree(size, start + length);
    const usedBytes = buffer === undefined ? 0 : (this.#usedBytes.get(buffer) ?? 0);
    this.#freeBytes -= usedBytes;
    // Those of other sizes make room for it: artifacts have frames of their own length each.
    if (buffer === undefined && this.#freeBytes > this.#freeBytesMax / 2) this.#drop();
    // One that could grow begins at a page's boundary; others don't.
    buffer ??= new ArrayBuffer(size, { maxByteLength: size });
    this.#usedBytes.set(buffer, Math.max(usedBytes, start + length));
    return new Uint8Array(buffer, start, length);
  }

  /**
   * Of the free buffers, the one of which just enough was used before; else the one that lacks least. Any other
   * choice makes each as large as the longest run there was: together they are more than may be kept then, and
   * what is dropped and made anew is news for the collector.
   */
  #takeFree(size: Bytes, neededBytes: Bytes): ArrayBuffer | undefined {
    const free = this.#free.get(size);
    if (free === undefined) return undefined;
    const waste = (buffer: ArrayBuffer): number => {
      const spare = (this.#usedBytes.get(buffer) ?? 0) - neededBytes;
      return spare >= 0 ? spare : size - spare;
    };
    let best = free[0];
    for (const each of free) if (best !== undefined && waste(each) < waste(best)) best = each;
    if (best === undefined) return undefined;
    free.splice(free.indexOf(best), 1);
    return best;
  }

  /** What `take` gave and nobody looks at any more. */
  give({ buffer }: Uint8Array): void {
    const size = buffer.byteLength;
    if (!(buffer instanceof ArrayBuffer) || !buffer.resizable) return;
    const usedBytes = this.#usedBytes.get(buffer) ?? size;
    if (this.#freeBytes + usedBytes > this.#freeBytesMax) {
      buffer.transferToFixedLength(0);
      return;
    }
    this.#freeBytes += usedBytes;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#rest ??= setInterval(() => this.#look(), keptMs).unref();
  }

  #look(): void {
    if (!this.#wasUsed) this.#drop();
    this.#wasUsed = false;
  }

  /** Given back now, not when the collector comes by. */
  #drop(): void {
    for (const buffers of this.#free.values()) {
      for (const buffer of buffers) buffer.transferToFixedLength(0);
    }
    this.#free.clear();
    this.#freeBytes = 0;
    clearInterval(this.#rest);
    this.#rest = undefined;
  }
}

function sizeFor(bytes: Bytes): Bytes {
  let size = smallestBytes;
  while (size < bytes) size *= 2;
  // All long runs take the same buffers, of which each uses a part.
  return (size > chunkBytesMax ? runBytesMax : size) + slackBytes;
}
