import { expect, test } from "vitest";
import { addUp, type Outcome, silentProjects, totalsLine } from "./totals-reporter.ts";

const outcomes: readonly Outcome[] = [
  { project: "core", state: "passed" },
  { project: "core", state: "passed" },
  { project: "unit", state: "failed" },
  { project: "pg", state: "skipped" },
  { project: "e2e", state: "pending" },
];

test("says how many passed and failed, and how many were skipped only when some were", () => {
  expect(totalsLine({ passed: 12, failed: 0, skipped: 0 })).toBe("12 passed, 0 failed");
  expect(totalsLine({ passed: 1, failed: 2, skipped: 3 })).toBe("1 passed, 2 failed, 3 skipped");
});

test("counts tests that never ended and errors outside of tests as failed", () => {
  expect(addUp(outcomes, 2)).toEqual({ passed: 2, failed: 4, skipped: 1 });
});

test("names the projects in which nothing ran", () => {
  expect(silentProjects(["core", "unit", "pg", "e2e", "repo"], outcomes)).toEqual([
    "pg",
    "e2e",
    "repo",
  ]);
});
