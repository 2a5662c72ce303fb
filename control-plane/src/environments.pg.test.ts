// Environments and people against a real database: who may do what where, and what happens by itself.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { deployWhatIsDue } from "./operations/auto-deploy.ts";
import { type TestFleet, TestServer, cidFor, commitFor } from "./test-fleet.ts";
import { RolloutKit, regions } from "./test-rollouts.ts";

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

test("opens nobody while a person has paused it, says who, and goes back when it is given up", async () => {
  const v1 = await kit.deployAll("v1");
  const { services, rollouts, tokens } = fleet.admin;
  const { token } = await tokens.create({
    role: "person",
    name: "ann",
    permissions: [{ may: "operate", environments: ["production"] }],
  });
  const ann = fleet.clientOf(token).services;
  const build = await kit.buildOf("v2");
  await expect(ann.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "permission_missing",
  });
  const rollout = await services.deploy("production", "web", { build });
  expect(rollout.by).toBe("admin");
  const paused = await ann.pause("production", "web", { reason: "a look first" });
  expect([paused.state, paused.reason]).toEqual(["PAUSED", "paused by ann: a look first"]);
  await expect(kit.follow(rollout.id, rollout.release.id)).rejects.toThrow("a look first");
  expect(kit.runs(v1.release)).toBe(6);
  expect((await ann.resume("production", "web")).state).not.toBe("PAUSED");
  const given = await ann.abort("production", "web", { reason: "not today" });
  expect([given.state, given.reason]).toEqual(["ABORTED", "aborted by ann: not today"]);
  await expect(ann.pause("production", "web", {})).rejects.toMatchObject({
    code: "rollout_not_running",
  });
  expect((await kit.goalOf("east"))?.run?.id).toBe(v1.release);
  // It isn't quarantined.
  expect((await services.deploy("production", "web", { build })).state).toBe("PREPARING");
  expect((await rollouts.get(rollout.id)).state).toBe("ABORTED");
  expect(await tokens.revokePerson({ name: "ann" })).toEqual({ revoked: 1 });
  await expect(ann.resume("production", "web")).rejects.toMatchObject({ code: "unauthorized" });
});

test("a rollback in waves can't be given up, and one at once goes ahead of it", async () => {
  const v1 = await kit.deployAll("v1");
  await kit.deployAll("v2");
  const { services } = fleet.admin;
  const staged = await services.rollback("production", "web", { waves: true });
  expect(staged).toMatchObject({ kind: "rollback", state: "PREPARING" });
  expect(await kit.goalOf("east")).toMatchObject({
    run: { id: v1.release },
    switch: { type: "none" },
  });
  await expect(services.abort("production", "web", {})).rejects.toMatchObject({
    code: "rollback_not_abortable",
  });
  const running = await kit.follow(staged.id, v1.release);
  expect(running.filter((n, index) => n !== running[index - 1])).toEqual([0, 1, 3, 6]);
});

test("an environment takes only what ran in another one, in its own regions, on hosts with its labels", async () => {
  const { services, environments } = fleet.admin;
  await environments.update("production", {
    promotesFrom: "staging",
    regions: ["east"],
    selector: { tier: "front" },
  });
  const run = { command: ["./greeter"], health: { type: "none" } } as const;
  await services.create({ environment: "staging", name: "web", project: "greeter", run });
  const build = await kit.buildOf("v1");
  await expect(services.deploy("production", "web", { build })).rejects.toMatchObject({
    code: "promotion_required",
  });
  await fleet.database`insert into releases (environment, service, id, body, artifact)
    values ('staging', 'web', 'rel-1', '{}', ${cidFor("v1")})`;
  await fleet.database`insert into rollouts (environment, service, kind, release, engine, ended_at, succeeded)
    values ('staging', 'web', 'deploy', 'rel-1', '{}', now(), true)`;
  await services.deploy("production", "web", { build });
  expect((await kit.goalOf("east"))?.selector).toEqual({ tier: "front" });
  expect(await kit.goalOf("west")).toBeUndefined();
  // A region that leaves is told to run nothing.
  await environments.update("production", { regions: ["west"] });
  expect((await kit.goalOf("east"))?.run).toBeNull();
  expect((await kit.goalOf("west"))?.run).not.toBeNull();
  await environments.update("production", {
    policy: { maxUnavailable: { type: "hosts", hosts: 2 } },
  });
  expect((await environments.get("production")).policy).toEqual({
    maxUnavailable: { type: "hosts", hosts: 2 },
  });
  await services.update("production", "web", { selector: { disk: "ssd" } });
  expect((await kit.goalOf("west"))?.selector).toEqual({ tier: "front", disk: "ssd" });
});

test("deploys a branch's newest build by itself, and what was well for a time, once each", async () => {
  const { services, environments, rollouts, builds } = fleet.admin;
  const log = { info: () => undefined };
  await environments.update("production", { deploysBranch: "main" });
  await environments.update("staging", { promotesFrom: "production", promotesAfterMs: 60_000 });
  const run = { command: ["./greeter"], health: { type: "none" } } as const;
  await services.create({ environment: "staging", name: "web", project: "greeter", run });
  await kit.buildOf("elsewhere");
  await deployWhatIsDue({ ...fleet.deps, log });
  expect((await rollouts.list()).items).toEqual([]);
  await builds.start({ project: "greeter", commit: commitFor("v1"), branch: "main" });
  await kit.buildOf("v1");
  await deployWhatIsDue({ ...fleet.deps, log });
  const [first] = (await rollouts.list()).items;
  expect(first).toMatchObject({ environment: "production", by: "branch main" });
  await kit.follow(first?.id ?? 0, first?.release.id ?? "");
  for (const region of regions) await kit.report(region);
  await deployWhatIsDue({ ...fleet.deps, log });
  expect((await rollouts.list()).items).toHaveLength(1);
  await fleet.database`update services set well_since = now() - interval '2 minutes'
    where environment = 'production' and well_since is not null`;
  await deployWhatIsDue({ ...fleet.deps, log });
  await deployWhatIsDue({ ...fleet.deps, log });
  expect((await rollouts.list()).items).toMatchObject([
    { environment: "staging", by: "promotion from production" },
    { environment: "production" },
  ]);
});
