import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { loopBackoffMsMax, loopBackoffMsMin } from "@shoal/core/limits";
import { type Loop, startLoop } from "./loop.ts";

const log = { warn: () => undefined, debug: () => undefined };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Probe {
  readonly loop: Loop;
  readonly startsMs: number[];
}

/** A loop that notes when its runs start; `run` gets the run's number, from 1. */
function probe(options: {
  readonly intervalMs?: number;
  readonly jitter?: number;
  readonly againMsMin?: number;
  readonly run?: (count: number, signal: AbortSignal) => unknown;
}): Probe {
  const startsMs: number[] = [];
  const zeroMs = performance.now();
  const loop = startLoop({
    name: "probe",
    intervalMs: options.intervalMs ?? 1000,
    jitter: options.jitter ?? 0,
    log,
    ...(options.againMsMin === undefined ? {} : { againMsMin: options.againMsMin }),
    run: (signal) => {
      startsMs.push(performance.now() - zeroMs);
      return options.run?.(startsMs.length, signal);
    },
  });
  return { loop, startsMs };
}

const sleepFor = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms));

describe("loop", () => {
  test("runs at once and then at its interval, counted from the end of a run", async () => {
    const { loop, startsMs } = probe({ run: () => sleepFor(500) });
    await vi.advanceTimersByTimeAsync(3500);
    expect(startsMs).toEqual([0, 1500, 3000]);
    const stopped = loop.stop();
    await vi.advanceTimersByTimeAsync(500);
    await stopped;
  });

  test("waits a least time before a woken run, however many wakes there are", async () => {
    const { loop, startsMs } = probe({ againMsMin: 50 });
    await vi.advanceTimersByTimeAsync(10);
    for (let wakes = 0; wakes < 10; wakes += 1) loop.wake();
    await vi.advanceTimersByTimeAsync(30);
    loop.wake();
    await vi.advanceTimersByTimeAsync(200);
    expect(startsMs).toEqual([0, 50]);
    await loop.stop();
  });

  test("waits longer before a woken run when the last one took long", async () => {
    const { loop, startsMs } = probe({ againMsMin: 50, run: () => sleepFor(100) });
    for (let passedMs = 0; passedMs < 900; passedMs += 10) {
      loop.wake();
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(startsMs).toEqual([0, 500]);
    await loop.stop();
  });

  test("spreads its runs by the jitter", async () => {
    const { loop, startsMs } = probe({ jitter: 0.2 });
    await vi.advanceTimersByTimeAsync(100_000);
    const gaps = startsMs.slice(1).map((ms, index) => ms - (startsMs[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(799);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1201);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(100);
    await loop.stop();
  });

  test("runs at once when it is woken between runs", async () => {
    const { loop, startsMs } = probe({});
    await vi.advanceTimersByTimeAsync(300);
    loop.wake();
    await vi.advanceTimersByTimeAsync(1);
    expect(startsMs).toEqual([0, 300]);
    await loop.stop();
  });

  test("runs once more, and never at the same time, when it is woken many times during a run", async () => {
    let running = 0;
    let most = 0;
    const { loop, startsMs } = probe({
      run: async () => {
        running += 1;
        most = Math.max(most, running);
        await sleepFor(100);
        running -= 1;
      },
    });
    await vi.advanceTimersByTimeAsync(50);
    for (let count = 0; count < 5; count += 1) loop.wake();
    await vi.advanceTimersByTimeAsync(400);
    expect(startsMs).toEqual([0, 100]);
    expect(most).toBe(1);
    await loop.stop();
  });

  test("waits longer and longer while it fails, up to a cap, and forgets that after a success", async () => {
    const { loop, startsMs } = probe({
      run: (count) => {
        if (count < 12) throw new Error("no");
      },
    });
    await vi.advanceTimersByTimeAsync(20 * loopBackoffMsMax);
    const gaps = startsMs.slice(1).map((ms, index) => ms - (startsMs[index] ?? 0));
    for (const [index, gap] of gaps.slice(0, 11).entries()) {
      const fullMs = Math.min(loopBackoffMsMax, loopBackoffMsMin * 2 ** (index + 1));
      expect(gap).toBeGreaterThanOrEqual(fullMs / 2 - 1);
      expect(gap).toBeLessThanOrEqual(fullMs + 1);
    }
    expect(gaps[11]).toBeLessThan(1002);
    await loop.stop();
  });

  test("heeds a wake while it backs off, but not before the shortest pause", async () => {
    const { loop, startsMs } = probe({
      run: (count) => {
        if (count < 9) throw new Error("no");
        return undefined;
      },
    });
    for (let step = 0; step < 200; step += 1) {
      loop.wake();
      await vi.advanceTimersByTimeAsync(10);
    }
    const gaps = startsMs.slice(1, 8).map((ms, index) => ms - (startsMs[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(loopBackoffMsMin - 1);
    expect(Math.max(...gaps)).toBeLessThan(loopBackoffMsMin + 20);
    await loop.stop();
  });

  test("when stopped aborts the run that goes on, waits for its end, and runs no more", async () => {
    let ended = false;
    const { loop, startsMs } = probe({
      run: async (_count, signal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await sleepFor(20);
        ended = true;
        throw new Error("an aborted run may fail");
      },
    });
    await vi.advanceTimersByTimeAsync(10);
    const stopped = loop.stop();
    loop.wake();
    await vi.advanceTimersByTimeAsync(30);
    await stopped;
    await loop.stop();
    expect(ended).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(startsMs).toEqual([0]);
  });
});
