// Memory in which threads unpack runs of chunks: shared with them and used again and again, because nobody can give
// shared memory back, and the collector comes late.
import type { Bytes } from "@shoal/core/units";
import { readOffset } from "./segment-buffers.ts";

export interface RunBuffer {
  readonly memory: SharedArrayBuffer;
  /** For what is read. */
  readonly stored: Uint8Array;
  /** For what comes of it. */
  readonly raw: Uint8Array;
}

export class RunBuffers {
  readonly #bytes: Bytes;
  #unmade: number;
  readonly #free: RunBuffer[] = [];
  readonly #waiting: ((buffer: RunBuffer) => void)[] = [];

  /** At most `count` buffers, each of room for a run of `bytes`, compressed and not. */
  constructor(count: number, bytes: Bytes) {
    this.#unmade = count;
    this.#bytes = bytes;
  }

  /** Waits for one when all are taken. */
  async take(): Promise<RunBuffer> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unmade > 0) return this.#make();
    const { promise, resolve } = Promise.withResolvers<RunBuffer>();
    this.#waiting.push(resolve);
    return promise;
  }

  give(buffer: RunBuffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }

  #make(): RunBuffer {
    this.#unmade -= 1;
    const memory = new SharedArrayBuffer(readOffset + 2 * this.#bytes);
    return {
      memory,
      stored: new Uint8Array(memory, readOffset, this.#bytes),
      raw: new Uint8Array(memory, readOffset + this.#bytes, this.#bytes),
    };
  }
}
