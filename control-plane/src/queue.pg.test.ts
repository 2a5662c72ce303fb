import { expect, test } from "vitest";
import { claimBuild } from "./operations/lease-build.ts";
import { adoptDatabase } from "./operations/adopt-database.ts";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import { type TestFleet, commitFor } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (started) => {
  fleet = started;
  await fleet.admin.regions.create({ name: "east", home: true });
});

const project = (name: string, settings: object = {}) =>
  fleet.admin.projects.create({
    name,
    remoteUrl: "/srv/code",
    buildCommand: "make",
    artifactPath: "out",
    ...settings,
  });
const queue = (name: string, text: string, more: object = {}) =>
  fleet.admin.builds.start({ project: name, commit: commitFor(`${name} ${text}`), ...more });
const claim = (builder: string, labels: Record<string, string> = {}) =>
  claimBuild(fleet.deps, { builder, holder: "b1", labels, load: null });

/** A builder of that name, which ends builds as soon as it has them. */
async function claimAndFail(builder: string): Promise<string | undefined> {
  const taken = await claim(builder);
  if (taken === null) return undefined;
  const { builder: calls } = await fleet.builder();
  const failure = { code: "build_failed", message: "exit 1", blame: "user" } as const;
  await calls.fail(taken.build, { fence: taken.fence, failure });
  return taken.project;
}

test("lets two projects take turns, however many builds one has queued first, and says so", async () => {
  await project("large");
  await project("small");
  await Promise.all(Array.from({ length: 1000 }, (_, index) => queue("large", `c${index}`)));
  expect(await claimAndFail("b1")).toBe("large");
  const small = await queue("small", "one");
  await queue("small", "two");
  const why = await fleet.admin.builds.why(small.id);
  expect(why.position).toBeLessThanOrEqual(2);
  expect(why.share).toEqual({ own: 1, total: 2 });
  expect(why.summary).toContain("1 of every 2 starts");
  const started = [];
  for (let turn = 0; turn < 4; turn += 1) started.push(await claimAndFail("b1"));
  expect(started.filter((name) => name === "small").length).toBe(2);
  expect(started.slice(0, 2)).toContain("small");
});

test("gives a project of three shares three turns for each of the other's", async () => {
  await project("one");
  await project("three", { buildShare: 3 });
  for (let index = 0; index < 40; index += 1) {
    await queue("one", `c${index}`);
    await queue("three", `c${index}`);
  }
  const started = [];
  for (let turn = 0; turn < 24; turn += 1) started.push(await claimAndFail("b1"));
  const threes = started.filter((name) => name === "three").length;
  expect(threes).toBeGreaterThanOrEqual(17);
  expect(threes).toBeLessThanOrEqual(19);
});

test("never runs more builds of a project than its cap, however many claim at once", async () => {
  await project("capped", { buildsRunningMax: 3 });
  await project("free");
  for (let index = 0; index < 20; index += 1) await queue("capped", `c${index}`);
  const last = await queue("free", "c");
  const claims = await Promise.all(Array.from({ length: 16 }, (_, index) => claim(`b${index}`)));
  const taken = claims.filter((found) => found !== null).map((found) => found.project);
  expect(taken.toSorted()).toEqual(["capped", "capped", "capped", "free"]);
  expect((await fleet.admin.builds.get(last.id)).state).toBe("BUILDING");
  const waiting = await queue("capped", "more");
  const why = await fleet.admin.builds.why(waiting.id);
  expect(why.cap).toEqual({ running: 3, max: 3, reached: true });
  const now = await fleet.admin.builds.queue();
  expect(now).toMatchObject({ queued: 18, due: 18, running: 4, buildersWanted: 4 });
});

test("gives builds to builders with their labels only", async () => {
  await project("mac", { builderLabels: { os: "darwin" } });
  const build = await queue("mac", "c");
  expect(await claim("b1", { os: "linux" })).toBeNull();
  await fleet.seeder("east");
  const { builder } = await fleet.builder();
  expect((await builder.lease({ builder: "b1", labels: { os: "linux" } })).lease).toBeNull();
  const why = await fleet.admin.builds.why(build.id);
  expect(why.summary).toContain("No builder with os=darwin");
  expect(why.builders).toMatchObject({ matching: 0, known: 1 });
  expect((await claim("b2", { os: "darwin", arch: "arm64" }))?.build).toBe(build.id);
});

test("waits until the time that a build is scheduled for, and starts at once when that is taken back", async () => {
  await project("later");
  const scheduledFor = new Date(Date.now() + 3_600_000).toISOString();
  const build = await queue("later", "c", { scheduledFor });
  expect(build).toMatchObject({ state: "QUEUED", scheduledFor });
  expect(await claim("b1")).toBeNull();
  expect((await fleet.admin.builds.why(build.id)).notBefore).toBe(scheduledFor);
  await fleet.admin.builds.reschedule(build.id, { scheduledFor: null, priority: 7 });
  expect((await claim("b1"))?.build).toBe(build.id);
});

test("keeps a failed build as it ended when it is retried, and builds again what is forced", async () => {
  await project("greeter");
  const first = await queue("greeter", "c");
  await claimAndFail("b1");
  const again = await fleet.admin.builds.retry(first.id);
  expect(again).toMatchObject({ state: "QUEUED", retryOf: first.id, commit: first.commit });
  expect((await fleet.admin.builds.get(first.id)).state).toBe("FAILED");
  expect((await fleet.admin.builds.attempts(first.id)).items).toMatchObject([
    { attempt: 1, outcome: "failed", failure: { blame: "user" }, builder: "b1" },
  ]);
  expect((await fleet.admin.builds.retry(first.id)).id).toBe(again.id);
  await expect(fleet.admin.builds.retry(again.id)).rejects.toMatchObject({
    code: "build_not_retryable",
  });
  const forced = await queue("greeter", "c", { force: true });
  expect(forced.id).not.toBe(again.id);
});

test("queues at once what a builder held that asks for other work", async () => {
  await project("greeter");
  const build = await queue("greeter", "c");
  await claim("b1");
  expect(await claim("b1")).toBeNull();
  expect(await fleet.admin.builds.get(build.id)).toMatchObject({
    state: "QUEUED",
    failure: { code: "builder_restarted", blame: "system" },
  });
});

test("refuses a fence that another builder took, and counts it", async () => {
  await project("greeter");
  const build = await queue("greeter", "c");
  const taken = await claim("b1");
  const thief = (await fleet.builder("thief")).builder;
  await expect(thief.heartbeat(build.id, { fence: taken?.fence ?? "" })).rejects.toMatchObject({
    code: "fence_stale",
  });
  expect((await fleet.admin.builds.attempts(build.id)).items[0]?.refused).toBe(1);
  expect((await fleet.admin.builds.queue()).refused).toEqual({ heartbeat: 1 });
});

test("voids every lease of a database that lacks what was seen, and none after a restart", async () => {
  await project("greeter");
  const build = await queue("greeter", "c");
  const taken = await claim("b1");
  const fence = taken?.fence ?? "";
  const { builder } = await fleet.builder();
  const { incarnation } = await fleet.admin.builds.queue();
  // Another server life, as the database's own row shows it after a restart or a restore.
  await fleet.database`update fleet set server = 'earlier'`;
  expect(
    await claimBuild(fleet.deps, { builder: "b9", holder: "b1", labels: {} }).catch(
      (error: unknown) => error,
    ),
  ).toMatchObject({ code: "database_unavailable", retryable: true });
  // The call that noticed it looked, without a watermark of that life: a restore.
  expect((await fleet.admin.builds.queue()).incarnation).not.toBe(incarnation);
  await expect(builder.heartbeat(build.id, { fence })).rejects.toMatchObject({
    code: "fence_stale",
  });
  expect(await fleet.admin.builds.get(build.id)).toMatchObject({ state: "QUEUED" });
  const again = await claim("b1");
  expect(BigInt(again?.fence ?? "0")).toBeGreaterThan(BigInt(fence) + 2n ** 39n);

  await fleet.database`update fleet set server = 'life'`;
  const watermark = {
    read: async () => ({ server: "life", logBytes: 1 }),
    write: async () => undefined,
  };
  await adoptDatabase({ ...fleet.deps, watermark });
  await builder.heartbeat(build.id, { fence: again?.fence ?? "" });
});
