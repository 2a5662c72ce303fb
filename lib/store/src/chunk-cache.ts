// Recently read chunks, up to so many bytes; the least recently used go first.
import type { Bytes } from "@shoal/core/units";

export class ChunkCache {
  readonly #bytesMax: Bytes;
  /** In order of last use. Invariant: sizes sum up to `#bytes`, which is at most `#bytesMax`. */
  readonly #chunks: Map<string, Uint8Array> = new Map();
  #bytes: Bytes = 0;

  constructor(bytesMax: Bytes) {
    this.#bytesMax = bytesMax;
  }

  /** Whether it keeps anything. */
  get isOn(): boolean {
    return this.#bytesMax > 0;
  }

  get(key: string): Uint8Array | undefined {
    const chunk = this.#chunks.get(key);
    if (chunk === undefined) return undefined;
    this.#chunks.delete(key);
    this.#chunks.set(key, chunk);
    return chunk;
  }

  add(key: string, chunk: Uint8Array): void {
    this.remove(key);
    if (chunk.length > this.#bytesMax) return;
    this.#chunks.set(key, chunk);
    this.#bytes += chunk.length;
    for (const oldest of this.#chunks.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.remove(oldest);
    }
  }

  remove(key: string): void {
    const chunk = this.#chunks.get(key);
    if (chunk === undefined) return;
    this.#chunks.delete(key);
    this.#bytes -= chunk.length;
  }
}
