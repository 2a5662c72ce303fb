// Deploys against a real database, with hosts that a seeder counts as the protocol says. The hosts
// are the test's; goals are read from plans and verified as a host would.
import type { Plan, ServiceCounts } from "@shoal/api/seeder";
import type { Goal } from "@shoal/core/rollout/goal";
import { hostShare } from "@shoal/core/rollout/host-share";
import { mayRun } from "@shoal/core/rollout/switch-rule";
import { verifyGoal } from "@shoal/trust/goal-envelope";
import { verifyGrant } from "@shoal/trust/grant";
import { verifyPassport } from "@shoal/trust/passport";
import { createKey } from "@shoal/trust/key-file";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { driveService } from "./operations/drive-service.ts";
import { watchReplication } from "./operations/reap-builds.ts";
import {
  type TestFleet,
  type TestSeeder,
  TestServer,
  cidFor,
  commitFor,
  publicationOf,
  startFleet,
} from "./test-fleet.ts";

interface TestHost {
  readonly id: string;
  healthy: string | null;
  failed: string | null;
}

const name = { environment: "production", service: "web" };
const regions = ["east", "west"] as const;
const bad = commitFor("bad");
let server: TestServer;
let fleet: TestFleet;
let seeders: Record<string, TestSeeder>;
let hosts: Record<string, TestHost[]>;
let held: string[];

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet = await startFleet(server);
  const { admin } = fleet;
  await admin.regions.create({ name: "east", home: true });
  await admin.regions.create({ name: "west" });
  await admin.projects.create({
    name: "greeter",
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
  });
  const run = { command: ["./greeter"], health: { type: "none" } } as const;
  await admin.services.create({ name: "web", project: "greeter", run });
  seeders = { east: await fleet.seeder("east"), west: await fleet.seeder("west") };
  held = [];
  hosts = {};
  for (const region of regions) {
    hosts[region] = [0, 1, 2].map((index) => ({
      id: `${region}-${index}`,
      healthy: null,
      failed: null,
    }));
  }
});
afterEach(async () => {
  await fleet[Symbol.asyncDispose]();
});

async function buildOf(text: string): Promise<number> {
  const { id } = await fleet.admin.builds.start({ project: "greeter", commit: commitFor(text) });
  const builder = (await fleet.builder()).builder;
  const { lease } = await builder.lease({ builder: "b1" });
  if (lease === null) throw new Error("the queue is empty");
  held.push(cidFor(text));
  await builder.publish(id, publicationOf(fleet, lease, cidFor(text)));
  for (const region of regions) await report(region);
  await watchReplication(fleet.deps);
  return id;
}

function openGoals(plan: Plan | null): Goal[] {
  const nowMs = Date.now();
  return (plan?.goals ?? []).map((envelope) => verifyGoal(envelope, fleet.trust, { nowMs }));
}

async function goalOf(region: string): Promise<Goal | undefined> {
  return openGoals((await seeders[region]?.client.plan()) ?? null)[0];
}

/** Every host of a region does what the goal says, at once. */
function obey(goal: Goal, own: TestHost[]): void {
  for (const host of own) {
    const wanted = mayRun(goal.switch, goal.salt, host.id) ? goal.run : goal.fallback;
    const isBad = wanted?.commit === bad && goal.run?.id === wanted.id;
    if (isBad) {
      host.failed = wanted.id;
      host.healthy = goal.fallback?.id ?? null;
    } else {
      host.healthy = wanted?.id ?? null;
    }
  }
}

function count(goal: Goal, own: readonly TestHost[]): ServiceCounts {
  const releases = [...goal.prepare, goal.run, goal.fallback].filter((release) => release !== null);
  const ids = [...new Set(releases.map((release) => release.id))];
  const healthy = (id: string) => own.filter((host) => host.healthy === id).length;
  return {
    ...name,
    epoch: goal.epoch,
    generation: goal.generation,
    reporting: own.length,
    silent: 0,
    open: own.filter((host) => mayRun(goal.switch, goal.salt, host.id)).length,
    openSilent: 0,
    firstHosts: own
      .map((host) => host.id)
      .toSorted((a, b) => hostShare(goal.salt, a) - hostShare(goal.salt, b)),
    releases: ids.map((release) => ({
      release,
      holding: own.length,
      running: healthy(release),
      healthy: healthy(release),
      failed: own.filter((host) => host.failed === release).length,
    })),
    troubled: [],
  };
}

async function report(region: string): Promise<void> {
  const goal = await goalOf(region);
  const own = hosts[region] ?? [];
  if (goal !== undefined) obey(goal, own);
  await seeders[region]?.client.report({
    held,
    goalEpochMax: goal?.epoch ?? 0,
    hosts: own.length,
    services: goal === undefined ? [] : [count(goal, own)],
  });
}

/** Lets seeders report and the engine look until the rollout ends; answers how many hosts ran it each time. */
async function follow(rollout: number, release: string): Promise<number[]> {
  const running: number[] = [];
  for (let turn = 0; turn < 20; turn += 1) {
    for (const region of regions) await report(region);
    await driveService({ ...fleet.deps }, name);
    running.push(runs(release));
    if ((await fleet.admin.rollouts.get(rollout)).endedAt !== null) return running;
  }
  throw new Error(`rollout ${rollout}: ${(await fleet.admin.rollouts.get(rollout)).reason}`);
}

function runs(release: string): number {
  return Object.values(hosts)
    .flat()
    .filter((host) => host.healthy === release).length;
}

async function deployAll(text: string): Promise<{ release: string; build: number }> {
  const build = await buildOf(text);
  const rollout = await fleet.admin.services.deploy("production", "web", { build });
  await follow(rollout.id, rollout.release.id);
  return { release: rollout.release.id, build };
}

test("brings a release to every host, wave by wave, and then all goals say so", async () => {
  const build = await buildOf("v1");
  const rollout = await fleet.admin.services.deploy("production", "web", { build });
  expect(rollout).toMatchObject({ state: "PREPARING", kind: "deploy", previous: null });
  expect((await goalOf("east"))?.switch).toEqual({ type: "none" });
  const running = await follow(rollout.id, rollout.release.id);
  expect(running.filter((n, index) => n !== running[index - 1])).toEqual([0, 1, 3, 6]);
  const ended = await fleet.admin.rollouts.get(rollout.id);
  expect(ended).toMatchObject({ state: "SUCCEEDED", hosts: 6, hostsOpen: 6, waves: 3 });
  expect(ended.counts).toMatchObject({ healthy: 6, failed: 0 });
  expect(await fleet.admin.services.get("production", "web")).toMatchObject({
    current: { id: rollout.release.id },
  });
  expect(await goalOf("west")).toMatchObject({
    run: { id: rollout.release.id },
    fallback: null,
    switch: { type: "all" },
  });
});

test("halts at the first host that fails, goes back, and quarantines until a person allows it", async () => {
  const good = await deployAll("v1");
  const build = await buildOf("bad");
  const { services, rollouts, quarantines } = fleet.admin;
  const rollout = await services.deploy("production", "web", { build });
  await follow(rollout.id, rollout.release.id);
  expect(await rollouts.get(rollout.id)).toMatchObject({
    state: "FAILED",
    previous: { id: good.release },
  });
  const failed = Object.values(hosts)
    .flat()
    .filter((host) => host.failed !== null);
  expect(failed.length).toBe(1);
  for (const region of regions) await report(region);
  expect(runs(good.release)).toBe(6);
  expect((await goalOf("east"))?.run?.id).toBe(good.release);
  expect((await quarantines.list()).items).toMatchObject([{ release: rollout.release.id }]);
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "release_quarantined",
  });
  await services.allow("production", "web", { release: rollout.release.id });
  expect((await services.deploy("production", "web", { build })).state).toBe("PREPARING");
});

test("refuses a deploy while one runs; a rollback goes ahead of it at once and everywhere", async () => {
  const v1 = await deployAll("v1");
  const { services, rollouts } = fleet.admin;
  const build = await buildOf("v2");
  const deploying = await services.deploy("production", "web", { build });
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "rollout_running",
  });
  const back = await services.rollback("production", "web", {});
  expect(back).toMatchObject({ kind: "rollback", state: "SWITCHING", release: { id: v1.release } });
  expect(await rollouts.get(deploying.id)).toMatchObject({ state: "ABORTED" });
  expect(await goalOf("east")).toMatchObject({ run: { id: v1.release }, switch: { type: "all" } });
  await follow(back.id, v1.release);
  expect((await rollouts.get(back.id)).state).toBe("SUCCEEDED");
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "release_quarantined",
  });
});

test("rolls a finished deploy back to the newest other good release", async () => {
  const v1 = await deployAll("v1");
  const v2 = await deployAll("v2");
  const { services } = fleet.admin;
  expect((await goalOf("east"))?.fallback?.id).toBe(v1.release);
  const back = await services.rollback("production", "web", {});
  expect([back.release.id, back.previous?.id]).toEqual([v1.release, v2.release]);
  // What was rolled back is no place to fall back to.
  expect((await goalOf("west"))?.fallback).toBeNull();
  const third = await buildOf("v3");
  // Rolling forward doesn't wait for the rollback's end.
  expect((await services.deploy("production", "web", { build: third })).state).toBe("PREPARING");
});

test("answers a deploy of what runs already with a rollout that has ended", async () => {
  const { build, release } = await deployAll("v1");
  const again = await fleet.admin.services.deploy("production", "web", { build });
  expect(again).toMatchObject({ state: "SUCCEEDED", release: { id: release } });
});

test("refuses to deploy a build that isn't everywhere yet", async () => {
  const { id } = await fleet.admin.builds.start({ project: "greeter", commit: commitFor("v1") });
  const deploying = fleet.admin.services.deploy("production", "web", { build: id });
  await expect(deploying).rejects.toMatchObject({ code: "build_not_deployable" });
});

test("gives a region that comes back into service its goals", async () => {
  await fleet.admin.regions.update("west", { inService: false });
  const build = await buildOf("v1");
  await fleet.admin.services.deploy("production", "web", { build });
  expect(await goalOf("west")).toBeUndefined();
  await fleet.admin.regions.update("west", { inService: true });
  await driveService({ ...fleet.deps }, name);
  expect((await goalOf("west"))?.region).toBe("west");
});

test("raises the epoch and signs every goal again when a seeder shows that the database is a restored one", async () => {
  await deployAll("v1");
  const before = await goalOf("east");
  expect(before?.epoch).toBe(1);
  // A backup from before the last goals, at the same epoch.
  await fleet.database`update goals set generation = 1`;
  const own = hosts["east"] ?? [];
  const services = before === undefined ? [] : [count(before, own)];
  await seeders["east"]?.client.report({ held, goalEpochMax: 1, hosts: 3, services });
  await driveService({ ...fleet.deps }, name);
  expect((await goalOf("east"))?.epoch).toBe(2);
  expect((await goalOf("west"))?.epoch).toBe(2);
  // A seeder that registers with a higher epoch lifts it above that; a lie is ignored.
  await seeders["west"]?.client.report({ held, goalEpochMax: 7, hosts: 3, services: [] });
  await seeders["west"]?.client.report({ held, goalEpochMax: 3_000_000, hosts: 3, services: [] });
  await driveService({ ...fleet.deps }, name);
  expect((await goalOf("east"))?.epoch).toBe(8);
});

test("gives every lease after a restore a larger fence than any before it", async () => {
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("a") });
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("b") });
  const { builder } = await fleet.builder();
  const first = (await builder.lease({ builder: "b1" })).lease;
  await fleet.database`alter sequence fences restart`;
  await seeders["east"]?.client.report({ held, goalEpochMax: 1, hosts: 0, services: [] });
  await fleet.database`update fleet set epoch = 2`;
  const second = (await builder.lease({ builder: "b1" })).lease;
  expect(BigInt(second?.fence ?? 0)).toBeGreaterThan(BigInt(first?.fence ?? 0));
});

test("wakes a seeder that waits for a plan, and answers null when nothing changed", async () => {
  const first = await seeders["east"]?.client.plan();
  const known = first?.version ?? "";
  expect(await seeders["east"]?.client.plan({ known })).toBeNull();
  const start = performance.now();
  const waiting = seeders["east"]?.client.plan({ known, waitMs: 10_000 });
  held.push(cidFor("x"));
  await seeders["west"]?.client.report({ held, goalEpochMax: 0, hosts: 0, services: [] });
  await buildOf("v1");
  expect((await waiting)?.artifacts.length).toBe(1);
  expect(performance.now() - start).toBeLessThan(5000);
  const grant = (await waiting)?.grant ?? "";
  const nowMs = Date.now();
  const region = "east";
  await verifyGrant(grant, fleet.trust, { nowMs, region, scope: "pull" });
});

test("lets hosts join as often as the token says, and renews passports without counting", async () => {
  const { token } = await fleet.admin.joinTokens.create({
    region: "east",
    usesMax: 2,
    ttlMs: 60_000,
  });
  const keys = [createKey(), createKey(), createKey()];
  const join = (index: number, region = "east") => {
    const peerId = keys[index]?.peerId ?? "";
    return seeders[region]?.client.passport({ joinToken: token, peerId, host: `h${index}` });
  };
  const first = await join(0);
  const facts = await verifyPassport(first?.passport ?? "", fleet.trust, {
    nowMs: Date.now(),
    peerId: keys[0]?.peerId ?? "",
    isRevoked: () => false,
  });
  expect(facts).toMatchObject({
    host: "h0",
    region: "east",
    role: "host",
    environment: "production",
  });
  const refused = { code: "join_token_region_wrong" };
  await expect(join(1, "west")).rejects.toMatchObject(refused);
  const raced = await Promise.allSettled([join(1), join(2)]);
  expect(raced.map((result) => result.status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await fleet.database`update join_tokens set expires_at = now() - interval '1 day'`;
  expect((await join(0))?.environment).toBe("production");
});
