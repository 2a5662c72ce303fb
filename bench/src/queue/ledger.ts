// What builders were told, to be compared with what the database says in the end: a build whose end was
// answered must have ended, and no build ends twice.
export interface Told {
  readonly build: number;
  readonly fence: string;
}

export class Ledger {
  /** Ends that the control plane answered, by build. */
  readonly #ends = new Map<number, Set<string>>();
  readonly claimMs: number[] = [];
  readonly endsAtMs: number[] = [];
  staleTried = 0;
  staleRefused = 0;
  calls = 0;
  failedCalls = 0;

  noteEnd({ build, fence }: Told): void {
    const fences = this.#ends.get(build) ?? new Set();
    fences.add(fence);
    this.#ends.set(build, fences);
    this.endsAtMs.push(performance.now());
  }

  get ended(): number {
    return this.#ends.size;
  }

  /** Builds for which two different leases were told that they ended it. */
  endedTwice(): number {
    return [...this.#ends.values()].filter((fences) => fences.size > 1).length;
  }

  /** Ends a second over the last while. */
  rateOver(ms: number): number {
    const since = performance.now() - ms;
    const ends = this.endsAtMs;
    let count = 0;
    while (count < ends.length && (ends[ends.length - 1 - count] ?? 0) >= since) count += 1;
    return (count * 1000) / ms;
  }

  builds(): IterableIterator<number> {
    return this.#ends.keys();
  }
}

/** The value below which `share` of the values are. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
