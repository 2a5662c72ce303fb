// Things that are used again and again, made when they are needed, and never more than so many.

export class BoundedPool<Item> {
  readonly #make: () => Item;
  #unmade: number;
  readonly #free: Item[] = [];
  readonly #waiting: ((item: Item) => void)[] = [];

  constructor(countMax: number, make: () => Item) {
    this.#unmade = countMax;
    this.#make = make;
  }

  /** The one that was given back last, or a new one; waits when all are taken. */
  async take(): Promise<Item> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unmade > 0) {
      this.#unmade -= 1;
      return this.#make();
    }
    const { promise, resolve } = Promise.withResolvers<Item>();
    this.#waiting.push(resolve);
    return promise;
  }

  give(item: Item): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(item);
    else next(item);
  }
}
