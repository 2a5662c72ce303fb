import { expect, test } from "vitest";
import { drawScenario } from "./draw.ts";
import { failureOf, search } from "./search.ts";
import { scenarioSchema } from "./scenario-file.ts";
import { scenarioWith } from "./scenario.ts";

test("what is drawn can be given as a scenario file", () => {
  for (let seed = 0; seed < 300; seed += 1) {
    expect(scenarioSchema.safeParse(drawScenario(seed)).error).toBeUndefined();
  }
});

test("the scheduler does nothing wrong in small worlds with faults", { timeout: 300_000 }, () => {
  expect(search(1, 40, () => undefined)).toBeUndefined();
});

test("a world in which somebody can't finish fails, and says what is missing", () => {
  const failure = failureOf(scenarioWith({ hosts: 2, silentShare: 0.5, patienceMs: 10 }));
  expect(failure?.kind).toBe("liveness");
  expect(failure?.what).toContain("never finish");
});
