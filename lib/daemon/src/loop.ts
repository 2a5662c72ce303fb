// A thing done again and again: at an interval with jitter, at once when woken, with exponential
// back-off while it fails. Runs never overlap. A wake during a run leads to one more run, however
// many wakes there were; a wake during back-off is heeded after the shortest back-off, so that a
// busy waker can't turn a failing loop into a hot one.
import { loopBackoffMsMax, loopBackoffMsMin } from "@shoal/core/limits";
import type { Log } from "./log.ts";

export interface LoopOptions {
  readonly name: string;
  /** From the end of a run to the start of the next. */
  readonly intervalMs: number;
  /**
   * The shortest time from the end of a run to a woken one, or four times what the run took when that
   * is longer, up to the interval; none when absent. Bounds what wakers cost.
   */
  readonly againMsMin?: number;
  /** Of 1: how far an interval may be from `intervalMs`, either way; 0.1 when absent. */
  readonly jitter?: number;
  /** One run; `signal` is aborted when the loop stops or the run has taken `timeoutMs`. */
  readonly run: (signal: AbortSignal) => unknown;
  /** The longest run; none when absent. A run has to heed its signal for this to do anything. */
  readonly timeoutMs?: number;
  /** The longest pause after failures. */
  readonly backoffMsMax?: number;
  readonly log: Pick<Log, "warn" | "debug">;
}

export interface Loop {
  /** Runs as soon as possible. */
  wake(): void;
  /** Aborts the current run, waits for its end, and runs no more. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a loop; the first run begins at once. */
export function startLoop(options: LoopOptions): Loop {
  const controller = new AbortController();
  const pause = new Pause(controller.signal);
  const done = runUntilStopped(options, pause, controller.signal);
  return {
    wake: () => pause.wake(),
    stop: async () => {
      controller.abort();
      await done;
    },
  };
}

async function runUntilStopped(
  options: LoopOptions,
  pause: Pause,
  stopped: AbortSignal,
): Promise<void> {
  const { name, intervalMs, jitter = 0.1, run, log } = options;
  let failures = 0;
  await Promise.resolve(); // Lets the caller keep the handle before the first run.
  while (!stopped.aborted) {
    pause.forgetWakes();
    const startMs = performance.now();
    try {
      const { timeoutMs } = options;
      await run(
        timeoutMs === undefined
          ? stopped
          : AbortSignal.any([stopped, AbortSignal.timeout(timeoutMs)]),
      );
      failures = 0;
    } catch (error) {
      if (stopped.aborted) return;
      failures += 1;
      log.warn({ loop: name, failures, error }, "loop run failed");
    }
    if (failures === 0) {
      const usualMs = intervalMs * (1 - jitter + 2 * jitter * Math.random());
      const tookMs = performance.now() - startMs;
      await pause.wait(leastPauseMs(options, tookMs), usualMs);
    } else
      await pause.wait(
        loopBackoffMsMin,
        backoffMs(failures, options.backoffMsMax ?? loopBackoffMsMax),
      );
  }
}

function leastPauseMs({ againMsMin, intervalMs }: LoopOptions, tookMs: number): number {
  return againMsMin === undefined ? 0 : Math.max(againMsMin, Math.min(intervalMs, 4 * tookMs));
}

/** Doubles from `loopBackoffMsMin` up to the cap, less up to half so that many processes spread. */
function backoffMs(failures: number, capMs: number): number {
  const fullMs = Math.min(capMs, loopBackoffMsMin * 2 ** Math.min(failures, 30));
  return fullMs * (0.5 + 0.5 * Math.random());
}

/** A sleep that a wake cuts short, though not below a least time. */
class Pause {
  readonly #stopped: AbortSignal;
  #woken = false;
  #cut: (() => void) | undefined;

  constructor(stopped: AbortSignal) {
    this.#stopped = stopped;
    stopped.addEventListener("abort", () => this.#cut?.(), { once: true });
  }

  wake(): void {
    this.#woken = true;
    this.#cut?.();
  }

  forgetWakes(): void {
    this.#woken = false;
  }

  async wait(leastMs: number, mostMs: number): Promise<void> {
    const startMs = performance.now();
    for (;;) {
      const untilMs = this.#woken ? leastMs : Math.max(leastMs, mostMs);
      const leftMs = startMs + untilMs - performance.now();
      if (leftMs <= 0 || this.#stopped.aborted) return;
      await this.#sleep(leftMs);
    }
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#cut = resolve;
    await promise;
    this.#cut = undefined;
    clearTimeout(timer);
  }
}
