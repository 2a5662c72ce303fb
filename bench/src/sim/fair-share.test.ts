import { expect, test } from "vitest";
import { fairShareMs } from "./fair-share.ts";

test("hosts that share a source take as long as all their bytes through it", () => {
  const takers = Array.from({ length: 4 }, () => ({ joinMs: 0, bytesPerMs: 100 }));
  expect(fairShareMs(takers, 1000, 100)).toEqual([40, 40, 40, 40]);
});

test("no host is faster than its own rate, and what it leaves is the others'", () => {
  const takers = [20, 100].map((bytesPerMs) => ({ joinMs: 0, bytesPerMs }));
  expect(fairShareMs(takers, 800, 100)).toEqual([10, 40]);
});

test("who comes later shares from then on", () => {
  const takers = [0, 5].map((joinMs) => ({ joinMs, bytesPerMs: 100 }));
  expect(fairShareMs(takers, 1000, 100)).toEqual([15, 15]);
});
