// The machine's deadlines: one for each concern, the earliest of them is what the driver waits for.
import type { Millis } from "../units.ts";

export const timerKinds = [
  "haves",
  "stall",
  "endgame",
  "offers",
  "dial",
  "idle",
  "budget",
] as const;
export type TimerKind = (typeof timerKinds)[number];

export class Timers {
  readonly #at: Record<TimerKind, Millis> = {
    haves: Infinity,
    stall: Infinity,
    endgame: Infinity,
    offers: Infinity,
    dial: Infinity,
    idle: Infinity,
    budget: Infinity,
  };

  /** Makes a deadline at least this early. */
  lower(kind: TimerKind, at: Millis): void {
    if (at < this.#at[kind]) this.#at[kind] = at;
  }

  /** Whether the deadline has come; it is unset then. */
  take(kind: TimerKind, now: Millis): boolean {
    if (this.#at[kind] > now) return false;
    this.#at[kind] = Infinity;
    return true;
  }

  next(): Millis | undefined {
    let next = Infinity;
    for (const kind of timerKinds) next = Math.min(next, this.#at[kind]);
    return next === Infinity ? undefined : next;
  }
}
