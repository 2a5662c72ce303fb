// Chunks on their way from other releases on this disk into one that is being fetched, while its swarm brings the
// rest: the member is told of each run that is there, and of what the swarm must bring after all.
import type { Membership } from "@shoal/peer/peer-node";
import type { Reuse } from "@shoal/store/release-reuse";

export interface Reusing {
  /** Resolves when nothing is left to be taken; rejects when it can't be written. */
  readonly done: Promise<void>;
  /** Resolves when nothing is written any more. Idempotent. */
  stop(): Promise<void>;
}

/** Begins at once. */
export function startReusing(
  reuse: Pick<Reuse, "copy">,
  membership: Pick<Membership, "reused" | "reuseFailed">,
): Reusing {
  const over = new AbortController();
  const done = reuse.copy(membership, over.signal);
  const ended = done.catch(() => undefined);
  return {
    done,
    stop: () => {
      over.abort(new Error("the fetch is over"));
      return ended;
    },
  };
}
