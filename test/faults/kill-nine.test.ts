// Any one process is killed at a random moment of a build and its deploy, and started again: the end
// is the same as without. SHOAL_FAULT_RUNS says how many moments for each kind of process,
// SHOAL_FAULT_SEED repeats the moments of an earlier run.
import { Prng } from "@shoal/core/prng";
import { isFinalBuildState } from "@shoal/core/build/state";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faultConfig } from "./config.ts";
import { Fleet } from "./fleet.ts";
import { allHealthy, build, buildMsMax, deploy } from "./person.ts";
import { killProcess } from "./proc.ts";
import { waitFor } from "./wait-for.ts";
import { SampleProject } from "./sample-project.ts";

const hosts = 3;
const service = "sample";
const minuteMs = 60_000;
const size = { parts: 6, partBytes: 2 * 1024 ** 2, changed: 3 };

let fleet: Fleet;
let project: SampleProject;
let versions = 0;
/** How long a build, and it and its deploy, take undisturbed: the spans that moments are drawn from. */
const typicalMs = { build: 0, all: 0 };

/** Answers the release that every host runs then. */
async function bringNextVersion(onBuilt: () => void = () => {}): Promise<string> {
  versions += 1;
  const commit = await project.commit(`v${versions}`);
  const built = await build(fleet, service, commit);
  expect(built, "the build's end").toMatchObject({ state: "SUCCEEDED", failure: null });
  onBuilt();
  const rollout = await deploy(fleet, service, built);
  expect(rollout, "the rollout's end").toMatchObject({ state: "SUCCEEDED" });
  await allHealthy(fleet, hosts, rollout.release.id);
  return rollout.release.id;
}

beforeAll(async () => {
  fleet = await Fleet.start({ hosts, regions: ["eu", "us"] });
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await project.register(fleet.client, service);
  await bringNextVersion();
  const startedAt = performance.now();
  await bringNextVersion(() => (typicalMs.build = performance.now() - startedAt));
  typicalMs.all = performance.now() - startedAt;
  const { build: buildMs, all: allMs } = typicalMs;
  console.info(
    `undisturbed: ${Math.round(buildMs)} of ${Math.round(allMs)} ms build; SHOAL_FAULT_SEED=${faultConfig.seed}`,
  );
}, 2 * minuteMs);

afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

/** Kills what `victim` names a share of the way through, and starts it a moment later. */
async function disturb(kind: string, share: number, pauseMs: number): Promise<void> {
  // A builder has nothing to do with deploys.
  await sleep(share * (kind === "builder-1" ? typicalMs.build : typicalMs.all));
  if (kind === "program") {
    const programs = await fleet.programs();
    const first = Math.floor(share * programs.length);
    // A deploy replaces them at that very time: one that has just ended can't be killed, the next one can.
    [...programs.slice(first), ...programs.slice(0, first)].some(({ pid }) => killProcess(pid));
    return; // Its agent starts it again.
  }
  const member = fleet.member(kind);
  await member.kill();
  await sleep(pauseMs);
  await member.start();
}

/** What must hold after every run, whatever was killed. */
async function expectNothingBroken(release: string): Promise<void> {
  const builds = await fleet.client.builds.list({ limit: 200 });
  expect(builds.items.filter(({ state }) => !isFinalBuildState(state))).toEqual([]);
  const rollouts = await fleet.client.rollouts.list({ limit: 200 });
  expect(rollouts.items.filter(({ endedAt }) => endedAt === null)).toEqual([]);
  expect(await brokenStarts(), "releases that ran although they weren't whole").toEqual([]);
  // A program that was killed a moment ago is still said to be healthy, and started again soon.
  await waitFor("one program for each host", 20_000, async () =>
    (await fleet.programs()).length === hosts ? true : null,
  );
  await allHealthy(fleet, hosts, release);
  await waitFor("the builder's folders to be empty", 20_000, async () => {
    const left = await readdir(join(fleet.stateDir("builder-1"), "builds", "attempts"));
    return left.length === 0 ? true : null;
  });
}

async function brokenStarts(): Promise<readonly string[]> {
  const paths = await readdir(fleet.dir, { recursive: true });
  const logs = paths.filter((path) => path.endsWith("/home/starts"));
  expect(logs, "each host's program wrote down its starts").toHaveLength(hosts);
  const texts = await Promise.all(logs.map((path) => readFile(join(fleet.dir, path), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter((line) => line.includes("broken")));
}

describe("a fleet whose process is killed at any moment", () => {
  const kinds = [
    "control-plane",
    "postgres",
    "seeder-eu",
    "seeder-us",
    "host-1",
    "program",
    "builder-1",
  ];
  const rows = kinds.flatMap((kind, index) => {
    const prng = new Prng(faultConfig.seed + index);
    return Array.from({ length: faultConfig.runs }, (_unused, number) => ({
      kind,
      number: number + 1,
      share: Math.round(1000 * prng.next()) / 1000,
      pauseMs: Math.floor(prng.next() * 300),
    }));
  });

  test.for(rows)(
    "ends the same after kill -9 of $kind, moment $number ($share of the way, away for $pauseMs ms)",
    { timeout: buildMsMax + 3 * minuteMs },
    async ({ kind, share, pauseMs }) => {
      const [release] = await Promise.all([bringNextVersion(), disturb(kind, share, pauseMs)]);
      await expectNothingBroken(release);
    },
  );
});
