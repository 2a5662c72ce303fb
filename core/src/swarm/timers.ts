// The machine's deadlines: one for each concern, the earliest of them is what the driver waits for.
import type { Millis } from "../units.ts";

/** Numbers and not names: a scheduler looks at its deadlines with each fact. */
export const timer = {
  haves: 0,
  stall: 1,
  endgame: 2,
  offers: 3,
  dial: 4,
  idle: 5,
  budget: 6,
  invitations: 7,
  hunger: 8,
} as const;
export type Timer = (typeof timer)[keyof typeof timer];

const timersCount = Object.keys(timer).length;

export class Timers {
  /** By timer, and the earliest of all at the end. */
  readonly #at: Float64Array = new Float64Array(timersCount + 1).fill(Infinity);

  /** Makes a deadline at least this early. */
  lower(which: Timer, at: Millis): void {
    if (at >= (this.#at[which] as number)) return;
    this.#at[which] = at;
    if (at < (this.#at[timersCount] as number)) this.#at[timersCount] = at;
  }

  /** Whether the deadline has come; it is unset then. */
  take(which: Timer, now: Millis): boolean {
    if ((this.#at[timersCount] as number) > now || (this.#at[which] as number) > now) return false;
    this.#at[which] = Infinity;
    let earliest = Infinity;
    for (let other = 0; other < timersCount; other += 1) {
      earliest = Math.min(earliest, this.#at[other] as number);
    }
    this.#at[timersCount] = earliest;
    return true;
  }

  next(): Millis | undefined {
    const earliest = this.#at[timersCount] as number;
    return earliest === Infinity ? undefined : earliest;
  }
}
