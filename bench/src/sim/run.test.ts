import { mebibyte } from "@shoal/core/units";
import { expect, test, vi } from "vitest";
import { runScenario } from "./run.ts";
import { scenarioWith, type Scenario } from "./scenario.ts";

// Whole worlds: on a machine that others use, longer than a unit test usually takes.
vi.setConfig({ testTimeout: 300_000 });

function run(given: Partial<Scenario>): ReturnType<typeof runScenario> {
  const small = { hosts: 20, artifactBytes: 32 * mebibyte };
  return runScenario(scenarioWith({ ...small, ...given }), () => undefined);
}

test("the same seed gives the same log, another seed another", () => {
  const faults = { deathsPerMinute: 1, faultsEndMs: 400, comeBackMs: 100, lyingShare: 0.1 };
  const [first, again, other] = [1, 1, 2].map((seed) => run({ ...faults, seed }).logDigest);
  expect(first).toBe(again);
  expect(first).not.toBe(other);
});

test("hosts finish among slow, lying and silent ones, and when some die and lose their disks", () => {
  const bad = { slowShare: 0.1, lyingShare: 0.1, silentShare: 0.1 };
  const deaths = { deathsPerMinute: 1, comeBackMs: 200, wipedShare: 0.5, faultsEndMs: 2000 };
  const report = run({ ...bad, ...deaths, artifactBytes: 64 * mebibyte });
  expect(report.isDone).toBe(true);
  expect(report.bytesRefused).toBeGreaterThan(0);
});

test("hosts finish without seeders once every piece is out", () => {
  expect(run({ seedersDie: true }).isDone).toBe(true);
});

test("nobody is faster than a seeder and a host can be", () => {
  const report = run({ hosts: 1 });
  expect(report.lastMs / report.boundMs).toBeGreaterThan(1);
  expect(report.lastMs / report.boundMs).toBeLessThan(1.1);
});

test("reused chunks aren't fetched again", () => {
  const report = run({ reusedShare: 0.75 });
  expect(report.isDone).toBe(true);
  // Some quarter of 32 MiB by each of 20 hosts, whoever gives it.
  expect(report.bytesFromSeeders + report.bytesFromPeers).toBeLessThan(20 * 9 * mebibyte);
});
