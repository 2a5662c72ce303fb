// Who is told when something changes: hosts that wait for goals, the swarm and the loop that reports
// upwards. A signal only: what changed is read from where it is kept, so a lost one costs a poll.

/** One wait for a change; made before the state is looked at, so that no change falls in between. */
export interface ChangeWait {
  /** Resolves at the change, after `timeoutMs`, or when the signal aborts. */
  within(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Instead of waiting. */
  drop(): void;
}

export interface ChangeListeners {
  /** The control plane should hear of it soon. */
  report(): void;
  /** There is more or less to serve to the swarm. */
  serve(): void;
}

export class Changes {
  readonly #waits: Set<() => void> = new Set();
  #listeners: ChangeListeners | undefined;

  /** Whom to tell; nobody until they have started. */
  listen(listeners: ChangeListeners): void {
    this.#listeners = listeners;
  }

  /** A host's report said something new. */
  reported(): void {
    this.#listeners?.report();
  }

  /** An artifact is held that wasn't, or the other way round. */
  held(): void {
    this.#listeners?.report();
    this.goals();
  }

  /** Goals, or what is there for them, have changed. */
  goals(): void {
    this.#listeners?.serve();
    const waits = [...this.#waits];
    this.#waits.clear();
    for (const wake of waits) wake();
  }

  nextGoals(): ChangeWait {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waits.add(wake);
    return {
      within: async (timeoutMs, signal) => {
        const timer = setTimeout(wake, timeoutMs);
        signal.addEventListener("abort", wake, { once: true });
        try {
          await promise;
        } finally {
          clearTimeout(timer);
          signal.removeEventListener("abort", wake);
          this.#waits.delete(wake);
        }
      },
      drop: () => this.#waits.delete(wake),
    };
  }
}
