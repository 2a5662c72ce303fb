// Deploys against a real database: what people ask of a service, and what its hosts are told.
import { verifyGrant } from "@shoal/trust/grant";
import { verifyPassport } from "@shoal/trust/passport";
import { createKey } from "@shoal/trust/key-file";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { driveService } from "./operations/drive-service.ts";
import { type TestFleet, TestServer, cidFor, commitFor } from "./test-fleet.ts";
import { RolloutKit, countHosts, name, regions } from "./test-rollouts.ts";

let server: TestServer;
let fleet: TestFleet;
let kit: RolloutKit;

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  kit = await RolloutKit.start(server);
  fleet = kit.fleet;
});
afterEach(async () => {
  await fleet[Symbol.asyncDispose]();
});

test("brings a release to every host, wave by wave, and then all goals say so", async () => {
  const build = await kit.buildOf("v1");
  const rollout = await fleet.admin.services.deploy("production", "web", { build });
  expect(rollout).toMatchObject({ state: "PREPARING", kind: "deploy", previous: null });
  expect((await kit.goalOf("east"))?.switch).toEqual({ type: "none" });
  const running = await kit.follow(rollout.id, rollout.release.id);
  expect(running.filter((n, index) => n !== running[index - 1])).toEqual([0, 1, 3, 6]);
  const ended = await fleet.admin.rollouts.get(rollout.id);
  expect(ended).toMatchObject({ state: "SUCCEEDED", hosts: 6, hostsOpen: 6, waves: 3 });
  expect(ended.counts).toMatchObject({ healthy: 6, failed: 0 });
  expect(await fleet.admin.services.get("production", "web")).toMatchObject({
    current: { id: rollout.release.id },
  });
  expect(await kit.goalOf("west")).toMatchObject({
    run: { id: rollout.release.id },
    fallback: null,
    switch: { type: "all" },
  });
});

test("halts at the first host that fails, goes back, and quarantines until a person allows it", async () => {
  const good = await kit.deployAll("v1");
  const build = await kit.buildOf("bad");
  const { services, rollouts, quarantines } = fleet.admin;
  const rollout = await services.deploy("production", "web", { build });
  await kit.follow(rollout.id, rollout.release.id);
  expect(await rollouts.get(rollout.id)).toMatchObject({
    state: "FAILED",
    previous: { id: good.release },
  });
  const failed = Object.values(kit.hosts)
    .flat()
    .filter((host) => host.failed !== null);
  expect(failed.length).toBe(1);
  for (const region of regions) await kit.report(region);
  expect(kit.runs(good.release)).toBe(6);
  expect((await kit.goalOf("east"))?.run?.id).toBe(good.release);
  expect((await quarantines.list()).items).toMatchObject([{ release: rollout.release.id }]);
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "release_quarantined",
  });
  await services.allow("production", "web", { release: rollout.release.id });
  expect((await services.deploy("production", "web", { build })).state).toBe("PREPARING");
});

test("refuses a deploy while one runs; a rollback goes ahead of it at once and everywhere", async () => {
  const v1 = await kit.deployAll("v1");
  const { services, rollouts } = fleet.admin;
  const build = await kit.buildOf("v2");
  const deploying = await services.deploy("production", "web", { build });
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "rollout_running",
  });
  const back = await services.rollback("production", "web", {});
  expect(back).toMatchObject({ kind: "rollback", state: "SWITCHING", release: { id: v1.release } });
  expect(await rollouts.get(deploying.id)).toMatchObject({ state: "ABORTED" });
  expect(await kit.goalOf("east")).toMatchObject({
    run: { id: v1.release },
    switch: { type: "all" },
  });
  await kit.follow(back.id, v1.release);
  expect((await rollouts.get(back.id)).state).toBe("SUCCEEDED");
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "release_quarantined",
  });
});

test("rolls a finished deploy back to the newest other good release", async () => {
  const v1 = await kit.deployAll("v1");
  const v2 = await kit.deployAll("v2");
  const { services } = fleet.admin;
  expect((await kit.goalOf("east"))?.fallback?.id).toBe(v1.release);
  const back = await services.rollback("production", "web", {});
  expect([back.release.id, back.previous?.id]).toEqual([v1.release, v2.release]);
  // What was rolled back is no place to fall back to.
  expect((await kit.goalOf("west"))?.fallback).toBeNull();
  const third = await kit.buildOf("v3");
  // Rolling forward doesn't wait for the rollback's end.
  expect((await services.deploy("production", "web", { build: third })).state).toBe("PREPARING");
});

test("answers a deploy of what runs already with a rollout that has ended", async () => {
  const { build, release } = await kit.deployAll("v1");
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
  const build = await kit.buildOf("v1");
  await fleet.admin.services.deploy("production", "web", { build });
  expect(await kit.goalOf("west")).toBeUndefined();
  await fleet.admin.regions.update("west", { inService: true });
  await driveService({ ...fleet.deps }, name);
  expect((await kit.goalOf("west"))?.region).toBe("west");
});

test("raises the epoch and signs every goal again when a seeder shows that the database is a restored one", async () => {
  await kit.deployAll("v1");
  const before = await kit.goalOf("east");
  expect(before?.epoch).toBe(1);
  // A backup from before the last goals, at the same epoch.
  await fleet.database`update goals set generation = 1`;
  const own = kit.hosts["east"] ?? [];
  const services = before === undefined ? [] : [countHosts(before, own)];
  await kit.seeders["east"]?.client.report({ held: kit.held, goalEpochMax: 1, hosts: 3, services });
  await driveService({ ...fleet.deps }, name);
  expect((await kit.goalOf("east"))?.epoch).toBe(2);
  expect((await kit.goalOf("west"))?.epoch).toBe(2);
  // A seeder that registers with a higher epoch lifts it above that; a lie is ignored.
  await kit.seeders["west"]?.client.report({
    held: kit.held,
    goalEpochMax: 7,
    hosts: 3,
    services: [],
  });
  await kit.seeders["west"]?.client.report({
    held: kit.held,
    goalEpochMax: 3_000_000,
    hosts: 3,
    services: [],
  });
  await driveService({ ...fleet.deps }, name);
  expect((await kit.goalOf("east"))?.epoch).toBe(8);
});

test("gives every lease after a restore a larger fence than any before it", async () => {
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("a") });
  await fleet.admin.builds.start({ project: "greeter", commit: commitFor("b") });
  const { builder } = await fleet.builder();
  const first = (await builder.lease({ builder: "b1" })).lease;
  await fleet.database`alter sequence fences restart`;
  await kit.seeders["east"]?.client.report({
    held: kit.held,
    goalEpochMax: 1,
    hosts: 0,
    services: [],
  });
  await fleet.database`update fleet set epoch = 2`;
  const second = (await builder.lease({ builder: "b1" })).lease;
  expect(BigInt(second?.fence ?? 0)).toBeGreaterThan(BigInt(first?.fence ?? 0));
});

test("wakes a seeder that waits for a plan, and answers null when nothing changed", async () => {
  const first = await kit.seeders["east"]?.client.plan();
  const known = first?.version ?? "";
  expect(await kit.seeders["east"]?.client.plan({ known })).toBeNull();
  const start = performance.now();
  const waiting = kit.seeders["east"]?.client.plan({ known, waitMs: 10_000 });
  kit.held.push(cidFor("x"));
  await kit.seeders["west"]?.client.report({
    held: kit.held,
    goalEpochMax: 0,
    hosts: 0,
    services: [],
  });
  await kit.buildOf("v1");
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
    return kit.seeders[region]?.client.passport({ joinToken: token, peerId, host: `h${index}` });
  };
  const first = await join(0);
  const facts = await verifyPassport(first?.passport ?? "", fleet.trust, {
    nowMs: Date.now(),
    peerId: keys[0]?.peerId ?? "",
    roles: ["host"],
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
