// Who waits is woken: waiters in this process at once, those of other control planes by NOTIFY. A
// hint and never the truth: every waiter also looks by itself after a while.
import type { Database, Queries } from "./connection.ts";

const channel = "shoal_wake";

/** What may have changed. */
export type Topic = "queue" | "plan" | "rollouts" | `log:${number}`;

/** What is told to other control planes within this time goes out at once. */
const announceEveryMs = 50;

export class Wakeups {
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #announced = new Set<Topic>();
  readonly #broadcast: (topic: Topic) => Promise<unknown>;

  /** `broadcast` tells other control planes. */
  constructor(broadcast: (topic: Topic) => Promise<unknown>) {
    this.#broadcast = broadcast;
  }

  /**
   * Wakes who waits in this process now, and in others soon: together with what else is announced
   * meanwhile, because every NOTIFY takes a lock on the whole database when it commits.
   */
  announce(topic: Topic): void {
    this.ring(topic);
    if (this.#announced.has(topic)) return;
    this.#announced.add(topic);
    setTimeout(() => {
      this.#announced.delete(topic);
      // A hint that is lost costs waiters a second.
      this.#broadcast(topic).catch(() => undefined);
    }, announceEveryMs).unref();
  }

  /** Wakes who waits for a topic in this process. */
  ring(topic: string): void {
    for (const wake of this.#waiters.get(topic) ?? []) wake();
  }

  /** Calls `wake` at every ring until the returned function is called. */
  subscribe(topic: Topic, wake: () => void): () => void {
    const waiters = this.#waiters.get(topic) ?? new Set();
    waiters.add(wake);
    this.#waiters.set(topic, waiters);
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(topic) === waiters) this.#waiters.delete(topic);
    };
  }
}

/** How long a waiter trusts that nothing happened: what isn't notified shows within this time. */
const lookEveryMs = 1000;

/**
 * Looks until `look` finds something, the time is up or the signal is aborted: at once, whenever the
 * topic rings, every now and then, and at the end. A ring between a look and the wait isn't lost.
 */
export async function lookUntil<Found>(
  wakeups: Wakeups,
  topic: Topic,
  waitMs: number,
  signal: AbortSignal,
  look: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const deadline = performance.now() + waitMs;
  let rung = Promise.withResolvers<void>();
  const wake = (): void => rung.resolve();
  const unsubscribe = wakeups.subscribe(topic, wake);
  signal.addEventListener("abort", wake, { once: true });
  try {
    for (;;) {
      rung = Promise.withResolvers<void>();
      const found = await look();
      const leftMs = deadline - performance.now();
      if (found !== undefined || leftMs <= 0) return found;
      const timer = setTimeout(wake, Math.min(leftMs, lookEveryMs));
      await rung.promise;
      clearTimeout(timer);
      // Nobody is there anymore to take what a look might find.
      if (signal.aborted) return undefined;
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", wake);
  }
}

/** Wakes every control plane when the transaction commits. Not for log lines: it takes a lock at commit. */
export async function notify(queries: Queries, topic: Topic): Promise<void> {
  await queries`select pg_notify(${channel}, ${topic})`;
}

/** Rings what other processes notify, over a connection of its own that renews itself. */
export async function listen(
  database: Database,
  wakeups: Wakeups,
): Promise<{ stop(): Promise<void> }> {
  const listening = await database.listen(channel, (topic) => wakeups.ring(topic));
  return { stop: () => listening.unlisten() };
}
