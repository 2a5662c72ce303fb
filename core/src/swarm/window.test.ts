import { describe, expect, test } from "vitest";
import { kibibyte, mebibyte } from "../units.ts";
import { withDefaults } from "./config.ts";
import { LinkNumbers } from "./link-numbers.ts";
import { isDue } from "./picker.ts";
import { Window } from "./window.ts";

const config = withDefaults({ windowMs: 300 });
const chunk = 256 * kibibyte;

function beginWindow(): Window {
  const numbers = new LinkNumbers();
  return new Window(config, numbers, numbers.take());
}

/** Delivers chunk after chunk at a rate for some time. */
function deliver(window: Window, bytesPerMs: number, durationMs: number, sinceMs = 0): number {
  const stepMs = chunk / bytesPerMs;
  let now = sinceMs;
  while (now < sinceMs + durationMs) {
    now += stepMs;
    window.deliver(chunk, now);
  }
  return now;
}

describe("a request window", () => {
  test("begins small", () => {
    expect(beginWindow().bytes).toBe(config.windowBytesMin);
  });

  test.for([10_000, 20_000, 40_000])("holds what %i bytes/ms bring in its time", (rate) => {
    const window = beginWindow();
    window.begin(0);
    deliver(window, rate, 3000);
    expect(window.bytes).toBeGreaterThan(rate * 300 * 0.9);
    expect(window.bytes).toBeLessThan(rate * 300 * 1.1);
  });

  test("doubles at most, so that one burst doesn't ask a link for everything", () => {
    const window = beginWindow();
    window.begin(0);
    window.deliver(64 * mebibyte, 100);
    expect(window.bytes).toBe(2 * config.windowBytesMin);
  });

  test("shrinks when the link becomes slow, and never below its least", () => {
    const window = beginWindow();
    window.begin(0);
    const now = deliver(window, 40_000, 3000);
    const wide = window.bytes;
    deliver(window, 100, 60_000, now);
    expect(window.bytes).toBeLessThan(wide / 4);
    expect(window.bytes).toBe(config.windowBytesMin);
  });

  test("stays within its largest size", () => {
    const window = beginWindow();
    window.begin(0);
    deliver(window, 1_000_000, 3000);
    expect(window.bytes).toBe(config.windowBytesMax);
  });

  test("is filled chunk by chunk, unless it is the largest: then a quarter at a time", () => {
    const window = beginWindow();
    window.begin(0);
    expect(isDue({ window, bytesOpen: window.bytes - 1 }, config)).toBe(true);
    deliver(window, 1_000_000, 3000);
    expect(isDue({ window, bytesOpen: window.bytes - 1 }, config)).toBe(false);
    expect(isDue({ window, bytesOpen: (window.bytes * 3) / 4 }, config)).toBe(true);
  });

  test("doesn't count time without requests as slowness", () => {
    const window = beginWindow();
    window.begin(0);
    const now = deliver(window, 20_000, 3000);
    const before = window.bytes;
    window.begin(now + 60_000);
    deliver(window, 20_000, 500, now + 60_000);
    expect(window.bytes).toBeGreaterThan(before * 0.9);
  });
});
