// Memory for segments of a stream, shared with threads and used again and again: fresh memory for each
// would cost as much time as reading into it. A buffer goes back when the last who holds it lets go.
import { segmentHeadBytes } from "@shoal/core/content/segments";
import { ShoalError } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";

/**
 * Where bytes that are read from files begin in large memory. Not at its start: that is 16 bytes into a page, and
 * some processors (AMD Zen 3) copy from the page cache to just there at a sixth of their speed, 0.68 instead
 * of 0.11 seconds per GiB.
 */
export const readOffset = 128;
/** Where a segment begins in its buffer; before it is room for what the one before it leaves. */
export const segmentStart: number = segmentHeadBytes + readOffset;

export class SegmentBuffer {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  readonly #whenFree: (buffer: SegmentBuffer) => void;
  #holders = 0;

  constructor(bytes: Bytes, whenFree: (buffer: SegmentBuffer) => void) {
    this.memory = new SharedArrayBuffer(segmentStart + bytes);
    this.bytes = new Uint8Array(this.memory);
    this.#whenFree = whenFree;
  }

  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#whenFree(this);
  }
}

export class SegmentBuffers {
  readonly #bytes: Bytes;
  readonly #free: SegmentBuffer[] = [];
  #unmade: number;
  /** At most one: reads go one after another. */
  #waiting: PromiseWithResolvers<SegmentBuffer> | undefined;
  #isClosed = false;

  /** At most `count` buffers, each of room for a segment of `bytes` and what comes before it. */
  constructor(count: number, bytes: Bytes) {
    this.#unmade = count;
    this.#bytes = bytes;
  }

  /** A buffer, held once by the caller; waits for one. One call at a time. */
  async take(): Promise<SegmentBuffer> {
    if (this.#isClosed) throw closed();
    const buffer = this.#free.pop() ?? this.#make() ?? (await this.#wait());
    buffer.hold();
    return buffer;
  }

  /** Who waits gets an error: nobody will give a buffer back. */
  close(): void {
    this.#isClosed = true;
    this.#waiting?.reject(closed());
  }

  #make(): SegmentBuffer | undefined {
    if (this.#unmade === 0) return undefined;
    this.#unmade -= 1;
    return new SegmentBuffer(this.#bytes, (buffer) => this.#giveBack(buffer));
  }

  #wait(): Promise<SegmentBuffer> {
    this.#waiting = Promise.withResolvers<SegmentBuffer>();
    return this.#waiting.promise;
  }

  #giveBack(buffer: SegmentBuffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#free.push(buffer);
    else waiting.resolve(buffer);
  }
}

function closed(): ShoalError {
  return new ShoalError("stopping", "the reader of a tree was closed", { blame: "local" });
}
