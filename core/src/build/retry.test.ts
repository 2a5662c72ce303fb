import { expect, test } from "vitest";
import { buildAttemptsMax, buildRetryMs, buildRetryMsMax } from "../limits.ts";
import { builderKeyUntrusted, decideRetry, secretUnusable } from "./retry.ts";
import { buildTransitions, isFinalBuildState, nextBuildState } from "./state.ts";

test("waits twice as long after each attempt, and gives up after the last", () => {
  expect(decideRetry(1, "failedByUs", "x")).toEqual({ event: "failedByUs", waitMs: buildRetryMs });
  expect(decideRetry(2, "leaseExpired", "x")).toEqual({
    event: "leaseExpired",
    waitMs: 2 * buildRetryMs,
  });
  expect(decideRetry(buildAttemptsMax - 1, "failedByUs", "x").waitMs).toBeLessThanOrEqual(
    buildRetryMsMax,
  );
  expect(decideRetry(buildAttemptsMax, "leaseExpired", "x")).toEqual({
    event: "attemptsExhausted",
    waitMs: 0,
  });
});

test("ends a build at once that no other attempt makes better", () => {
  const end = { event: "attemptsExhausted", waitMs: 0 };
  expect(decideRetry(1, "failedByUs", builderKeyUntrusted)).toEqual(end);
  expect(decideRetry(1, "failedByUs", secretUnusable)).toEqual(end);
});

test("lets every state that isn't final reach a final one, and no final one move", () => {
  for (const [state, moves] of Object.entries(buildTransitions)) {
    const seen = new Set([state]);
    for (const next of seen) {
      for (const target of Object.values(buildTransitions[next as keyof typeof buildTransitions])) {
        seen.add(target);
      }
    }
    const ends = [...seen].filter((next) =>
      isFinalBuildState(next as keyof typeof buildTransitions),
    );
    expect(ends.length, state).toBeGreaterThan(0);
    if (Object.keys(moves).length === 0) expect([...seen]).toEqual([state]);
  }
});

test("refuses what a state doesn't allow", () => {
  expect(nextBuildState("CANCELLING", "published")).toBeNull();
  expect(nextBuildState("SUCCEEDED", "cancelRequested")).toBeNull();
});
