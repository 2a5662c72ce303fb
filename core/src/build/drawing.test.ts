import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { drawBuildStates, tableOfBuildStates } from "./drawing.ts";
import { buildStateCare, buildStates, isFinalBuildState, statesBefore } from "./state.ts";

test("docs/BUILDS.md draws exactly the transitions that the code allows", () => {
  const page = readFileSync(new URL("../../../docs/BUILDS.md", import.meta.url), "utf8");
  expect(page).toContain(`\`\`\`mermaid\n${drawBuildStates()}\n\`\`\``);
  expect(page).toContain(tableOfBuildStates());
});

test("gives every state that isn't final an owner, a deadline and a reaper, and no final one", () => {
  for (const state of buildStates) {
    expect(buildStateCare[state] === null, state).toBe(isFinalBuildState(state));
  }
});

test("names the states in which an event counts", () => {
  expect(statesBefore("leaseExpired")).toEqual(["BUILDING", "CANCELLING"]);
  expect(statesBefore("published")).toEqual(["BUILDING"]);
});
