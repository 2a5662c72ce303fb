// Bytes per second each way, by the clock: uploads wait for their turn before they are sent, and what is
// received too fast stops its lane for a moment, so that TCP slows the other end down.
import { Budget } from "@shoal/core/swarm/budget";
import type { Bytes, Millis } from "@shoal/core/units";

export interface BudgetConfig {
  /** Undefined: no limit. */
  readonly uploadBytesPerSecond?: number | undefined;
  readonly downloadBytesPerSecond?: number | undefined;
}

/** A lane that must wait longer looks again, because the rate may have been changed. */
const pauseMsMax = 250;
/** Runs are at most what a rate allows in this time, so that no grant is much of a second. */
const runMs = 50;

export class Budgets {
  readonly #upload: Budget;
  readonly #download: Budget;
  #uploadBytesPerSecond: number;
  readonly #granted: Map<number, () => void> = new Map();
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ uploadBytesPerSecond, downloadBytesPerSecond }: BudgetConfig) {
    const now = performance.now();
    this.#upload = new Budget(uploadBytesPerSecond, now);
    this.#download = new Budget(downloadBytesPerSecond, now);
    this.#uploadBytesPerSecond = uploadBytesPerSecond ?? Infinity;
  }

  set({ uploadBytesPerSecond, downloadBytesPerSecond }: BudgetConfig): void {
    const now = performance.now();
    this.#upload.setRate(uploadBytesPerSecond, now);
    this.#download.setRate(downloadBytesPerSecond, now);
    this.#uploadBytesPerSecond = uploadBytesPerSecond ?? Infinity;
    this.#grant();
  }

  /** The longest run that should be sent at once; a chunk is sent whole all the same. */
  get uploadRunBytesMax(): Bytes {
    return (this.#uploadBytesPerSecond * runMs) / 1000;
  }

  /** Resolves when these bytes of an artifact may be sent; a higher priority has a larger share. */
  async mayUpload(artifact: number, priority: number, bytes: Bytes): Promise<void> {
    if (!this.#upload.isLimited) return;
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#granted.set(id, resolve);
    this.#upload.ask(artifact, { id, bytes, weight: 1 + Math.max(0, priority) });
    this.#grant();
    await promise;
  }

  /** Bytes came. Answers how long their lane should stop; it is to ask again then, with no bytes. */
  received(bytes: Bytes): Millis {
    if (!this.#download.isLimited) return 0;
    const now = performance.now();
    this.#download.spend(bytes, now);
    return Math.min(pauseMsMax, this.#download.waitMs(now));
  }

  /** Lets go of all who wait. */
  stop(): void {
    this.set({});
  }

  #grant(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    for (let id = this.#upload.poll(now); id !== undefined; id = this.#upload.poll(now)) {
      this.#granted.get(id)?.();
      this.#granted.delete(id);
    }
    const dueMs = this.#upload.nextDeadline(now);
    if (dueMs === undefined) return;
    this.#timer = setTimeout(() => this.#grant(), Math.ceil(dueMs - now));
  }
}
