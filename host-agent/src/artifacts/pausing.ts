// Whether a person has paused one artifact's download, and what follows: its manifest isn't fetched, its
// swarm is asked for nothing, and its room among the unfinished artifacts is others' until it goes on. What
// is here already is served meanwhile.
import type { Membership } from "@shoal/peer/peer-node";

export class Pausing {
  #isPaused: boolean;
  #waiting = Promise.withResolvers<void>();
  #onChange: (() => void) | null = null;

  constructor(isPaused: boolean) {
    this.#isPaused = isPaused;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  change(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return;
    this.#isPaused = isPaused;
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
    this.#onChange?.();
  }

  /** Who is told of changes; one at a time. */
  onChange(told: (() => void) | null): void {
    this.#onChange = told;
  }

  /** Rejects when aborted. */
  async untilResumed(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", abort, { once: true });
    try {
      while (this.#isPaused) await Promise.race([this.#waiting.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

export interface ObeyDeps {
  readonly pausing: Pausing;
  readonly membership: Pick<Membership, "setPaused">;
  /** Waits for room among the unfinished artifacts; answers how to give it back. */
  readonly enter: (signal: AbortSignal) => Promise<() => void>;
}

/**
 * Keeps a member as a person wants it from now on. `leave`: gives back the room that it has; null when it
 * has none, as when it was paused before. Answers how to give back all and stop; that is idempotent.
 */
export function obeyPauses(
  { pausing, membership, enter }: ObeyDeps,
  leave: (() => void) | null,
): () => void {
  let leaveRoom = leave;
  let entering = new AbortController();
  const enterAgain = async (signal: AbortSignal): Promise<void> => {
    const left = await enter(signal);
    if (signal.aborted) {
      left();
      return;
    }
    leaveRoom = left;
    membership.setPaused(false);
  };
  const giveBack = (): void => {
    entering.abort(new Error("paused, or over"));
    leaveRoom?.();
    leaveRoom = null;
  };
  const obey = (): void => {
    if (pausing.isPaused) {
      giveBack();
      membership.setPaused(true);
      return;
    }
    entering = new AbortController();
    // It only ends early by the abort above.
    if (leaveRoom === null) enterAgain(entering.signal).catch(() => undefined);
  };
  pausing.onChange(obey);
  obey();
  return () => {
    pausing.onChange(null);
    giveBack();
  };
}
