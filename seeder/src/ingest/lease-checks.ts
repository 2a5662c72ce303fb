// Whether who pushes still has the build's lease: a grant outlives the lease it came with, and what a
// late builder made must not become the build's artifact. The control plane is asked; a newer lease that
// was seen here makes every older one stale without asking.
import { ShoalError } from "@shoal/core/error";
import { leaseCheckedMs, leasesSeenMax } from "@shoal/core/limits";

export interface PushLease {
  readonly build: number;
  readonly fence: string;
}

/** Resolves when the lease is alive. Rejects with `fence_stale`, or because nobody could be asked. */
export type AskLease = (build: number, fence: string) => Promise<void>;

interface Seen {
  readonly fence: bigint;
  readonly goodUntilMs: number;
}

export class LeaseChecks {
  readonly #ask: AskLease;
  readonly #now: () => number;
  readonly #seen = new Map<number, Seen>();

  constructor(ask: AskLease, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** Throws `fence_stale`. `fresh`: asks whatever was answered a moment ago. */
  async require({ build, fence }: PushLease, fresh = false): Promise<void> {
    const own = BigInt(fence);
    const seen = this.#seen.get(build);
    if (seen !== undefined && seen.fence > own) throw stale(build);
    const known = seen?.fence === own && seen.goodUntilMs > this.#now();
    if (known && !fresh) return;
    await this.#ask(build, fence);
    const newest = this.#seen.get(build);
    if (newest !== undefined && newest.fence > own) throw stale(build);
    if (this.#seen.size >= leasesSeenMax) this.#seen.clear();
    this.#seen.set(build, { fence: own, goodUntilMs: this.#now() + leaseCheckedMs });
  }
}

function stale(build: number): ShoalError {
  return new ShoalError("fence_stale", `Somebody else has build ${build} by now.`, {
    blame: "remote",
    hint: "Stop the build and take another one.",
  });
}
