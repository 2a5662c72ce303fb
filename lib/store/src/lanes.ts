// Work beside other work, a bounded number at once: for a producer that goes on while what it made is
// still being dealt with.

export class Lanes {
  readonly #countMax: number;
  #running = 0;
  /** Told whenever work ends; who waits looks again. */
  #ended: PromiseWithResolvers<void> | undefined;
  #hasFailed = false;
  #failure: unknown;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Starts `work`; resolves when there is room for the next. Throws what any work before threw. */
  async run(work: () => Promise<void>): Promise<void> {
    this.#running += 1;
    void this.#follow(work);
    while (this.#running >= this.#countMax) await this.#end();
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits for all; throws what any threw. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits for all, whatever comes of them. */
  async settle(): Promise<void> {
    while (this.#running > 0) await this.#end();
  }

  async #follow(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#hasFailed) this.#failure = error;
      this.#hasFailed = true;
    }
    this.#running -= 1;
    this.#ended?.resolve();
    this.#ended = undefined;
  }

  #end(): Promise<void> {
    this.#ended ??= Promise.withResolvers<void>();
    return this.#ended.promise;
  }
}
