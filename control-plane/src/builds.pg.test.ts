import { logBytesMax } from "@shoal/core/limits";
import { expect, test } from "vitest";
import { claimBuild } from "./operations/lease-build.ts";
import { reapCancels, reapLeases, watchReplication } from "./operations/reap-builds.ts";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import { type TestFleet, cidFor, commitFor, publicationOf } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (started) => {
  fleet = started;
  await fleet.admin.regions.create({ name: "east", home: true });
  await fleet.admin.regions.create({ name: "west" });
  await fleet.admin.projects.create({
    name: "greeter",
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
  });
});

const claim = (builder: string) => claimBuild(fleet.deps, { builder, holder: "b1", labels: {} });

const queue = (text: string, priority = 0) =>
  fleet.admin.builds.start({ project: "greeter", commit: commitFor(text), priority });

async function leaseOne() {
  const builder = await fleet.builder();
  const { lease } = await builder.builder.lease({ builder: "b1" });
  if (lease === null) throw new Error("the queue is empty");
  return { builder: builder.builder, lease };
}

async function expireLeases(): Promise<void> {
  await fleet.database`update leases set beat_at = now() - interval '1 hour'`;
  await reapLeases(fleet.deps);
}

/** Lets the wait before the next attempt be over. */
async function endWait(): Promise<void> {
  await fleet.database`update builds set not_before = now()`;
}

test("gives every build to one builder only, however many claim at once", async () => {
  for (let index = 0; index < 60; index += 1) await queue(`c${index}`);
  const claims = await Promise.all(Array.from({ length: 100 }, (_, index) => claim(`b${index}`)));
  const taken = claims.filter((claim) => claim !== null);
  expect(taken.length).toBe(60);
  expect(new Set(taken.map((claim) => claim.build)).size).toBe(60);
  expect(new Set(taken.map((claim) => claim.fence)).size).toBe(60);
});

test("takes larger priorities first, and first come first served within one", async () => {
  const ids = [await queue("a"), await queue("b"), await queue("c", 5)].map((build) => build.id);
  const order = [];
  for (let turn = 0; turn < 3; turn += 1) {
    order.push((await claim(`b${turn}`))?.build);
  }
  expect(order).toEqual([ids[2], ids[0], ids[1]]);
});

test("answers the same commit with the build there is, until that has failed", async () => {
  const first = await queue("same");
  expect((await queue("same")).id).toBe(first.id);
  const twice = await Promise.all(Array.from({ length: 8 }, () => queue("race")));
  expect(new Set(twice.map((build) => build.id)).size).toBe(1);
  await fleet.seeder("east");
  const { builder, lease } = await leaseOne();
  const failure = { code: "build_failed", message: "exit 2", blame: "user" } as const;
  const failed = await builder.fail(lease.build, { fence: lease.fence, failure });
  expect(failed).toEqual({ build: first.id, state: "FAILED" });
  expect(await fleet.admin.builds.get(first.id)).toMatchObject({ failure, attempt: 1 });
  expect((await queue("same")).id).not.toBe(first.id);
});

test("doesn't take builds while they would have nowhere to go", async () => {
  await queue("a");
  const builder = await fleet.builder();
  await expect(builder.builder.lease({ builder: "b1" })).rejects.toMatchObject({
    code: "home_seeder_missing",
    retryable: true,
  });
  await fleet.seeder("east");
  const { lease } = await builder.builder.lease({ builder: "b1" });
  expect(lease).toMatchObject({ project: "greeter", attempt: 1, seeder: { region: "east" } });
});

test("hands a build to a builder that waits as soon as it is queued", async () => {
  await fleet.seeder("east");
  const builder = await fleet.builder();
  const waiting = builder.builder.lease({ builder: "b1", waitMs: 10_000 });
  const start = performance.now();
  await queue("late");
  expect((await waiting).lease).toMatchObject({ commit: commitFor("late") });
  expect(performance.now() - start).toBeLessThan(3000);
});

test("refuses whoever has lost the lease, in every call, and changes nothing", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  await expireLeases();
  await endWait();
  const next = await leaseOne();
  expect(BigInt(next.lease.fence)).toBeGreaterThan(BigInt(lease.fence));
  const { fence } = lease;
  const failure = { code: "x", message: "x", blame: "user" } as const;
  const stale = { code: "fence_stale" };
  await expect(builder.heartbeat(id, { fence })).rejects.toMatchObject(stale);
  await expect(builder.appendLog(id, { fence, offset: 0 }, Buffer.from("x"))).rejects.toMatchObject(
    stale,
  );
  await expect(builder.fail(id, { fence, failure })).rejects.toMatchObject(stale);
  await expect(builder.cancelled(id, { fence })).rejects.toMatchObject(stale);
  const publication = publicationOf(fleet, lease, cidFor("a"));
  await expect(builder.publish(id, publication)).rejects.toMatchObject(stale);
  expect(await fleet.admin.builds.get(id)).toMatchObject({ state: "BUILDING", attempt: 2 });
  await next.builder.heartbeat(id, { fence: next.lease.fence });
});

test("tries again after a wait when the builder is lost, and gives up after the last attempt", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    await leaseOne();
    await expireLeases();
    const { state } = await fleet.admin.builds.get(id);
    expect(state).toBe(attempt === 5 ? "DEAD" : "QUEUED");
    expect(await claim("b2")).toBeNull();
    await endWait();
  }
  expect((await fleet.admin.builds.get(id)).failure).toMatchObject({ blame: "system" });
});

test("keeps a lease that beats, and tells its builder to cancel", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  const { fence } = lease;
  expect(await builder.heartbeat(id, { fence })).toMatchObject({ cancel: false });
  await reapLeases(fleet.deps);
  expect((await fleet.admin.builds.cancel(id)).state).toBe("CANCELLING");
  expect(await builder.heartbeat(id, { fence })).toMatchObject({ cancel: true });
  expect((await builder.cancelled(id, { fence })).state).toBe("CANCELLED");
  expect((await builder.cancelled(id, { fence })).state).toBe("CANCELLED");
  expect((await fleet.admin.builds.cancel(id)).state).toBe("CANCELLED");
});

test("cancels without the builder when it doesn't answer in time", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  await fleet.admin.builds.cancel(id);
  await fleet.database`update builds set deadline_at = now() - interval '1 second'`;
  await reapCancels(fleet.deps);
  expect((await fleet.admin.builds.get(id)).state).toBe("CANCELLED");
  await expect(builder.heartbeat(id, { fence: lease.fence })).rejects.toMatchObject({
    code: "fence_stale",
  });
});

test("succeeds when every region in service holds the artifact, and not before", async () => {
  const [east, west] = [await fleet.seeder("east"), await fleet.seeder("west")];
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  const artifact = cidFor("a");
  const publication = publicationOf(fleet, lease, artifact);
  expect((await builder.publish(id, publication)).state).toBe("REPLICATING");
  // The answer got lost, and the builder tells it again.
  expect((await builder.publish(id, publication)).state).toBe("REPLICATING");
  const report = { held: [artifact], goalEpochMax: 0, hosts: 0, services: [] };
  await east.client.report(report);
  await watchReplication(fleet.deps);
  expect(await fleet.admin.builds.get(id)).toMatchObject({
    state: "REPLICATING",
    regionsHolding: ["east"],
    regionsMissing: ["west"],
  });
  const plan = await west.client.plan();
  expect(plan?.artifacts).toEqual([
    {
      cid: artifact,
      project: "greeter",
      sources: [{ region: "east", url: "https://127.0.0.1:1/seeder-east", peerId: east.peerId }],
    },
  ]);
  await west.client.report(report);
  await watchReplication(fleet.deps);
  expect((await fleet.admin.builds.get(id)).state).toBe("SUCCEEDED");
});

test("doesn't wait for a region that was taken out of service", async () => {
  const east = await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  await builder.publish(id, publicationOf(fleet, lease, cidFor("a")));
  await east.client.report({ held: [cidFor("a")], goalEpochMax: 0, hosts: 0, services: [] });
  await fleet.admin.regions.update("west", { inService: false });
  await watchReplication(fleet.deps);
  expect((await fleet.admin.builds.get(id)).state).toBe("SUCCEEDED");
});

test("fails at the deadline, naming the regions that lack the artifact", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  await builder.publish(id, publicationOf(fleet, lease, cidFor("a")));
  await fleet.database`update builds set deadline_at = now() - interval '1 second'`;
  await watchReplication(fleet.deps);
  const build = await fleet.admin.builds.get(id);
  expect(build.state).toBe("FAILED");
  expect(build.failure?.message).toContain("east, west");
});

test("refuses an artifact whose statement is of another key or another commit", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  const other = publicationOf(fleet, { ...lease, commit: commitFor("b") }, cidFor("a"));
  await expect(builder.publish(id, other)).rejects.toMatchObject({
    code: "statement_commit_wrong",
  });
  const good = publicationOf(fleet, lease, cidFor("a"));
  await expect(builder.publish(id, { ...good, artifact: cidFor("b") })).rejects.toMatchObject({
    code: "statement_subject_wrong",
  });
  expect((await fleet.admin.builds.get(id)).state).toBe("BUILDING");
});

test("appends to the log without gaps or repeats, and reads it on over attempts", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  const append = (offset: number, text: string) =>
    builder.appendLog(id, { fence: lease.fence, offset }, Buffer.from(text));
  await append(0, "hello ");
  await append(0, "hello ");
  await append(3, "lo world\n");
  await expect(append(99, "x")).rejects.toMatchObject({
    code: "log_gap",
    details: { expected: 12 },
  });
  const first = await fleet.admin.builds.log(id, { offset: 6 });
  expect(Buffer.from(first.bytes).toString()).toBe("world\n");
  expect([first.nextOffset, first.ended]).toEqual([12, false]);
  await expireLeases();
  await endWait();
  const next = await leaseOne();
  const reading = fleet.admin.builds.log(id, { offset: first.nextOffset, waitMs: 100 });
  expect(Buffer.from((await reading).bytes).toString()).toContain("Attempt 1 ended");
  const { nextOffset } = await reading;
  const waiting = fleet.admin.builds.log(id, { offset: nextOffset, waitMs: 10_000 });
  await next.builder.appendLog(id, { fence: next.lease.fence, offset: 0 }, Buffer.from("again"));
  expect(Buffer.from((await waiting).bytes).toString()).toBe("again");
  const failure = { code: "build_failed", message: "exit 2", blame: "user" } as const;
  await next.builder.fail(id, { fence: next.lease.fence, failure });
  const tail = await fleet.admin.builds.log(id, { offset: (await waiting).nextOffset });
  expect(Buffer.from(tail.bytes).toString()).toContain("build_failed: exit 2");
  const end = await fleet.admin.builds.log(id, { offset: tail.nextOffset, waitMs: 10_000 });
  expect(end).toMatchObject({ ended: true, nextOffset: tail.nextOffset });
});

test("counts and drops what goes beyond the longest log", async () => {
  await fleet.seeder("east");
  const { id } = await queue("a");
  const { builder, lease } = await leaseOne();
  await fleet.database`
    update attempts set log_received = ${logBytesMax - 3}, log_kept = ${logBytesMax - 3}`;
  const append = (offset: number, text: string) =>
    builder.appendLog(id, { fence: lease.fence, offset }, Buffer.from(text));
  await append(logBytesMax - 3, "abcdef");
  await append(logBytesMax + 3, "ghi");
  const [row] = await fleet.database`select log_received as r, log_kept as k from attempts`;
  expect(row).toEqual({ r: logBytesMax + 6, k: logBytesMax });
});
