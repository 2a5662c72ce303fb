import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startResting } from "./resting.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("gives memory back once after each time of work", () => {
  let [isFetching, sentBytes, given] = [false, 0, 0];
  const stop = startResting(
    { isFetching: () => isFetching, sentBytes: () => sentBytes, giveBack: () => (given += 1) },
    100,
  );
  vi.advanceTimersByTime(1000);
  expect(given).toBe(1);
  isFetching = true;
  vi.advanceTimersByTime(1000);
  isFetching = false;
  sentBytes = 5;
  vi.advanceTimersByTime(100);
  expect(given).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(given).toBe(2);
  stop();
  sentBytes = 6;
  vi.advanceTimersByTime(1000);
  expect(given).toBe(2);
});
