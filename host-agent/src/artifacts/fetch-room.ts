// Room on disk for artifacts that are being fetched: at most so many bytes of them are unfinished at once,
// and what the others still lack is known to whoever looks whether the next one fits. The first to come
// gets the next room; one that is larger than all of it goes alone.
import type { Bytes } from "@shoal/core/units";

interface Taken {
  readonly bytes: Bytes;
  /** What it hasn't written yet. */
  readonly missingBytes: () => Bytes;
}

interface Waiting {
  readonly taken: Taken;
  readonly enter: () => void;
}

export class FetchRoom {
  readonly #bytesMax: Bytes;
  readonly #taken: Set<Taken> = new Set();
  #waiting: readonly Waiting[] = [];

  constructor(bytesMax: Bytes) {
    this.#bytesMax = bytesMax;
  }

  /** Free space that is spoken for. */
  get missingBytes(): Bytes {
    return [...this.#taken].reduce((sum, { missingBytes }) => sum + missingBytes(), 0);
  }

  /** Waits for room; answers how to give it back, which may be called again. Rejects when aborted. */
  async take(bytes: Bytes, missingBytes: () => Bytes, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const taken = { bytes, missingBytes };
    if (this.#waiting.length === 0 && this.#fits(bytes)) this.#taken.add(taken);
    else await this.#wait(taken, signal);
    return () => {
      this.#taken.delete(taken);
      this.#admit();
    };
  }

  async #wait(taken: Taken, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { taken, enter: resolve };
    const abort = (): void => {
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      reject(signal.reason);
      this.#admit();
    };
    this.#waiting = [...this.#waiting, waiting];
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #admit(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#fits(first.taken.bytes)) return;
      this.#waiting = this.#waiting.slice(1);
      // At once: nobody who comes in between may take the same room.
      this.#taken.add(first.taken);
      first.enter();
    }
  }

  #fits(bytes: Bytes): boolean {
    const takenBytes = [...this.#taken].reduce((sum, taken) => sum + taken.bytes, 0);
    return this.#taken.size === 0 || takenBytes + bytes <= this.#bytesMax;
  }
}
