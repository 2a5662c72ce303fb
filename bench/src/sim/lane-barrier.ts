// Where the threads of a world wait for each other. They come every few milliseconds at most, so they look for
// each other for a while before they sleep.
import { assert } from "@shoal/core/error";
import { minuteMs } from "@shoal/core/units";

const arrivedAt = 0;
const roundAt = 1;
const failedAt = 2;
const words = 4;

const looksMax = 20_000;
/** Said by those who fail because another thread has. */
export const othersFailed = "the other threads of a world go on, too";
/** Between two meetings a thread starts, or works through some thousand events. */
const patienceMs = 5 * minuteMs;

export class LaneBarrier {
  readonly #words: Int32Array;
  readonly #lanes: number;

  /** `memory` is one of `barrierMemory()`, shared by all `lanes` threads. */
  constructor(memory: SharedArrayBuffer, lanes: number) {
    this.#words = new Int32Array(memory);
    this.#lanes = lanes;
  }

  /** Goes on once all have come here. Throws when one of them never will. */
  meet(): void {
    const state = this.#words;
    const round = Atomics.load(state, roundAt);
    this.#mustGoOn();
    if (Atomics.add(state, arrivedAt, 1) === this.#lanes - 1) {
      Atomics.store(state, arrivedAt, 0);
      Atomics.store(state, roundAt, round + 1);
      Atomics.notify(state, roundAt);
      return;
    }
    let looks = 0;
    while (looks < looksMax && Atomics.load(state, roundAt) === round) looks += 1;
    // Who is woken looks again: it may have been for the last meeting, by somebody who was slow to say so.
    while (Atomics.load(state, roundAt) === round) {
      const outcome = Atomics.wait(state, roundAt, round, patienceMs);
      assert(outcome !== "timed-out", "the other threads of a world come, too");
    }
    this.#mustGoOn();
  }

  /** Lets those go who wait here or will: they throw. */
  fail(): void {
    Atomics.store(this.#words, failedAt, 1);
    Atomics.add(this.#words, roundAt, 1);
    Atomics.notify(this.#words, roundAt);
  }

  #mustGoOn(): void {
    assert(Atomics.load(this.#words, failedAt) === 0, othersFailed);
  }
}

export function barrierMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
}
