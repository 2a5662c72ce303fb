import { expect, test } from "vitest";
import { commitStatusOf } from "./commit-status.ts";
import { buildStates, isFinalBuildState } from "./state.ts";

test("a commit is pending exactly while its build can still end otherwise", () => {
  for (const state of buildStates) {
    expect(commitStatusOf(state, null).state === "pending").toBe(!isFinalBuildState(state));
  }
  expect(commitStatusOf("SUCCEEDED", null).state).toBe("success");
});

test("a description has the reason and fits", () => {
  expect(commitStatusOf("FAILED", "exit 2").description).toBe("failed: exit 2");
  expect(commitStatusOf("DEAD", "x".repeat(500)).description).toHaveLength(140);
});
