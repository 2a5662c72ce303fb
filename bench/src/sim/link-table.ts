// The links of a world: who is at their ends, and whether each end is open.

export class LinkTable {
  readonly #lane: number;
  readonly #lanes: number;
  #dialed = 0;
  /** Both ends of each link by its number: who dialed, who was dialed. */
  #ends = new Uint32Array(1024);
  /** Whether each end is open, in the same order. */
  #isOpen = new Uint8Array(1024);

  /** Numbers are given by each thread of a world, so that none is given twice. */
  constructor(lane: number, lanes: number) {
    this.#lane = lane;
    this.#lanes = lanes;
  }

  /** A number that no link has yet. */
  next(): number {
    const link = this.#dialed * this.#lanes + this.#lane;
    this.#dialed += 1;
    return link;
  }

  /** Both ends are closed. */
  add(link: number, dialer: number, dialed: number): void {
    while (2 * link + 1 >= this.#ends.length) this.#grow();
    this.#ends[2 * link] = dialer;
    this.#ends[2 * link + 1] = dialed;
  }

  otherEnd(link: number, host: number): number {
    return this.#ends[this.#endOf(link, host) ^ 1] as number;
  }

  isOpen(link: number, host: number): boolean {
    return this.#isOpen[this.#endOf(link, host)] === 1;
  }

  open(link: number, host: number): void {
    this.#isOpen[this.#endOf(link, host)] = 1;
  }

  close(link: number, host: number): void {
    this.#isOpen[this.#endOf(link, host)] = 0;
  }

  #endOf(link: number, host: number): number {
    return this.#ends[2 * link] === host ? 2 * link : 2 * link + 1;
  }

  #grow(): void {
    const [ends, isOpen] = [this.#ends, this.#isOpen];
    this.#ends = new Uint32Array(2 * ends.length);
    this.#ends.set(ends);
    this.#isOpen = new Uint8Array(2 * isOpen.length);
    this.#isOpen.set(isOpen);
  }
}
