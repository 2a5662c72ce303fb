// What builders say beside their ends (test reports, load, drain), what seeders ask about them, and logs
// as events: counted or refused by the same lease.
import type { TestReport } from "@shoal/api/test-report";
import { expect, test } from "vitest";
import { leaseBuild } from "./operations/lease-build.ts";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import { type TestFleet, commitFor } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (started) => {
  fleet = started;
});

const failure = { code: "tests_failed", message: "no", blame: "user" } as const;
const report: TestReport = {
  ...{ exitCode: 1, durationMs: 5, passed: 1, failed: 1, errored: 0, skipped: 0 },
  cases: [{ suite: "s", name: "bad", state: "failed", durationMs: 1.5, message: "no" }],
  ...{ casesTotal: 2, coverage: null, files: [] },
};

async function leased() {
  const { admin } = fleet;
  await admin.regions.create({ name: "east", home: true });
  await admin.projects.create({
    ...{ name: "greeter", remoteUrl: "/srv/greeter", buildCommand: "make", artifactPath: "out" },
    test: { command: "make test" },
  });
  const home = (await fleet.seeder("east")).client;
  await admin.builds.start({ project: "greeter", commit: commitFor("a") });
  const { builder } = await fleet.builder();
  const load = { cpuPercent: 12.5, memoryFreeBytes: 1, diskFreeBytes: 2 };
  const { lease } = await builder.lease({ builder: "b1", load });
  if (lease === null) throw new Error("the queue is empty");
  return { home, builder, lease, build: lease.build, fence: lease.fence };
}

test("keeps what the test stage left with its attempt, and refuses it from a late builder", async () => {
  const { builder, lease, build, fence } = await leased();
  expect(lease.test).toEqual({ command: "make test", reports: [] });
  await builder.reportTests(build, { fence, report });
  const { items } = await fleet.admin.builds.tests(build);
  expect(items).toMatchObject([{ attempt: 1, report }]);
  await builder.fail(build, { fence, failure });
  const late = builder.reportTests(build, { fence, report: { ...report, passed: 9 } });
  await expect(late).rejects.toMatchObject({ code: "fence_stale" });
  expect((await fleet.admin.builds.tests(build)).items[0]?.report.passed).toBe(1);
  expect((await fleet.admin.builds.queue()).refused).toEqual({ tests: 1 });
});

test("tells a seeder whether who pushes has the lease, and counts who hasn't", async () => {
  const { home, builder, build, fence } = await leased();
  await home.checkLease(build, fence);
  const other = String(BigInt(fence) - 1n);
  await expect(home.checkLease(build, other)).rejects.toMatchObject({ code: "fence_stale" });
  await builder.fail(build, { fence, failure });
  await expect(home.checkLease(build, fence)).rejects.toMatchObject({ code: "fence_stale" });
  expect((await fleet.admin.builds.queue()).refused).toEqual({ ingest: 2 });
  expect((await fleet.admin.builds.attempts(build)).items[0]).toMatchObject({ refused: 1 });
});

test("shows builders' load, also of busy ones, and which of them drain", async () => {
  const { builder, build, fence } = await leased();
  const shown = async () => (await fleet.admin.builds.queue()).builders[0];
  expect(await shown()).toMatchObject({ name: "b1", build, load: { cpuPercent: 12.5 } });
  await fleet.database`update builders set seen_at = now() - interval '20 seconds'`;
  const busy = { cpuPercent: 99, memoryFreeBytes: 1, diskFreeBytes: 2 };
  await builder.heartbeat(build, { fence, load: busy });
  expect(await shown()).toMatchObject({ load: { cpuPercent: 99 }, draining: false });
  await builder.drain({ builder: "b1" });
  expect(await shown()).toMatchObject({ draining: true, build });
});

test("queues at once what crossed with a builder that drains, or with a caller that left", async () => {
  const { builder, build } = await leased();
  const state = async () => {
    const { state, failure: reason } = await fleet.admin.builds.get(build);
    return [state, reason?.code ?? null];
  };
  await builder.drain({ builder: "b1" });
  expect(await state()).toEqual(["BUILDING", null]);
  await builder.drain({ builder: "b1", idle: true });
  expect(await state()).toEqual(["QUEUED", "builder_restarted"]);
  await fleet.database`update builds set not_before = now(), failure = null`;
  const input = { builder: "b2", labels: {}, waitMs: 0 };
  expect(await leaseBuild(fleet.deps, "b1", input, AbortSignal.abort())).toBeNull();
  expect(await state()).toEqual(["QUEUED", "builder_restarted"]);
});

/** Reads events until `count` of them are there, or the stream ends. */
async function events(build: number, count: number, headers: Record<string, string> = {}) {
  const response = await fleet.app.request(`/v1/builds/${build}/log/events`, {
    headers: { authorization: "Bearer admin-token", ...headers },
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const parsed = () =>
    text
      .split("\n\n")
      .slice(0, -1)
      .filter((event) => event.startsWith("id:"))
      .map((event) => {
        const [id, name, data] = event.split("\n").map((line) => line.replace(/^[a-z]+: /, ""));
        return { id: Number(id), name, data: JSON.parse(data ?? "null") as unknown };
      });
  while (parsed().length < count) {
    const part = await reader?.read();
    if (part?.done !== false) break;
    text += part.value;
  }
  await reader?.cancel();
  return parsed();
}

test("streams a log as events that go on where a reader was, and end with the build", async () => {
  const { builder, build, fence } = await leased();
  const bytes = Buffer.from("one ä\n");
  // Cut in the middle of a character.
  await builder.appendLog(build, { fence, offset: 0 }, bytes.subarray(0, 5));
  const [first] = await events(build, 1);
  expect(first).toEqual({ id: 4, name: "log", data: { offset: 0, text: "one " } });
  const following = events(build, 3, { "last-event-id": String(first?.id) });
  await builder.appendLog(build, { fence, offset: 5 }, bytes.subarray(5));
  await builder.fail(build, { fence, failure });
  const rest = await following;
  const text = rest
    .filter(({ name }) => name === "log")
    .map(({ data }) => (data as { text: string }).text)
    .join("");
  expect(text).toMatch(/^ä\n\n\[shoal\] tests_failed: no\n$/);
  const [last] = await events(build, 9, { "last-event-id": String(rest.at(-1)?.id) });
  expect(last).toMatchObject({ name: "end", data: { state: "FAILED" } });
  const unknown = await fleet.app.request("/v1/builds/999/log/events", {
    headers: { authorization: "Bearer admin-token" },
  });
  expect(unknown.status).toBe(404);
});
