// Work beside other work, a bounded number at once: for a producer that goes on while what it made is
// still being dealt with.

export class Lanes {
  readonly #countMax: number;
  /** None of them rejects. */
  readonly #running: Set<Promise<void>> = new Set();
  #hasFailed = false;
  #failure: unknown;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Starts `work`; resolves when there is room for the next. Throws what any work before threw. */
  async run(work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch((error: unknown) => {
        if (!this.#hasFailed) this.#failure = error;
        this.#hasFailed = true;
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    while (this.#running.size >= this.#countMax) await Promise.race(this.#running);
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits for all; throws what any threw. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits for all, whatever comes of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
