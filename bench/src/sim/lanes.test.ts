import { mebibyte } from "@shoal/core/units";
import { expect, test, vi } from "vitest";
import { runInLanes } from "./lanes.ts";
import type { RunReport } from "./report.ts";
import { scenarioWith, type Scenario } from "./scenario.ts";

// Whole worlds, each in threads of its own.
vi.setConfig({ testTimeout: 300_000 });

async function run(given: Partial<Scenario>): Promise<RunReport> {
  const small = { hosts: 40, artifactBytes: 64 * mebibyte };
  return runInLanes(scenarioWith({ ...small, ...given }), () => undefined);
}

test("a world of two lanes takes as long as in one, and each host gets every byte once", async () => {
  const [one, two] = [await run({ lanes: 1 }), await run({ lanes: 2 })];
  expect(two.isDone).toBe(true);
  expect(two.tookMs).toHaveLength(40);
  expect(Math.abs(two.lastMs / one.lastMs - 1)).toBeLessThan(0.05);
  expect(Math.abs(two.events / one.events - 1)).toBeLessThan(0.1);
  expect(two.bytesFromSeeders + two.bytesFromPeers).toBe(40 * 64 * mebibyte);
});

test("the same scenario gives the same log in several lanes, however its threads run", async () => {
  const faults = { deathsPerMinute: 60, comeBackMs: 100, wipedShare: 0.5, lyingShare: 0.1 };
  const given = { ...faults, hosts: 30, zones: 2, lanes: 3, silentShare: 0.05 };
  const [first, again] = [await run(given), await run(given)];
  expect(first.isDone).toBe(true);
  expect(first.bytesRefused).toBeGreaterThan(0);
  expect(again.logDigest).toBe(first.logDigest);
  expect((await run({ ...given, seed: 2 })).logDigest).not.toBe(first.logDigest);
});

test("what several lanes can't do is refused", async () => {
  await expect(run({ lanes: 2, seedersDie: true })).rejects.toMatchObject({
    code: "config_invalid",
  });
  await expect(run({ lanes: 2, zoneRttMs: 0 })).rejects.toMatchObject({ code: "config_invalid" });
  expect(scenarioWith({ hosts: 5000, seedersDie: true }).lanes).toBe(1);
});

test("when a lane fails, the run fails", async () => {
  // More requests under way than a link may have: the machine of a host asserts.
  const isBroken = { uploadSlots: 40, uploadSlotsQuick: 40, uploadsToEmpty: 40 };
  const scenario = scenarioWith({ hosts: 60, artifactBytes: 64 * mebibyte, lanes: 2 });
  const failed = runInLanes(scenario, () => undefined, isBroken);
  await expect(failed).rejects.toMatchObject({ code: "assertion_failed" });
});
