import { memoryUsage } from "node:process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { logReadBytesMax, logSegmentBytes } from "@shoal/core/limits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listSegments } from "./db/log-segments.ts";
import { readLog } from "./operations/read-log.ts";
import { sealLogs } from "./operations/seal-logs.ts";
import { searchLog } from "./operations/search-log.ts";
import { TestServer, commitFor, startFleet } from "./test-fleet.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function startBuild() {
  const fleet = await startFleet(server);
  const { admin } = fleet;
  await admin.regions.create({ name: "east", home: true });
  await admin.projects.create({
    name: "greeter",
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
  });
  await fleet.seeder("east");
  await admin.builds.start({ project: "greeter", commit: commitFor("a") });
  const { builder } = await fleet.builder();
  const { lease } = await builder.lease({ builder: "b1" });
  if (lease === null) throw new Error("the queue is empty");
  const end = (): Promise<unknown> =>
    builder.fail(lease.build, {
      fence: lease.fence,
      failure: { code: "build_failed", message: "exit 2", blame: "user" },
    });
  return { fleet, builder, lease, end };
}

test("moves a log out of Postgres when its build ends, chained, and reads and searches it on", async () => {
  const { fleet, builder, lease, end } = await startBuild();
  await using _ = fleet;
  const { build, fence } = lease;
  await builder.appendLog(build, { fence, offset: 0 }, Buffer.from("one\ntwo needle\nthr"));
  await builder.appendLog(build, { fence, offset: 18 }, Buffer.from("ee\n"));
  const { logs } = fleet.deps;
  if (logs === null) throw new Error("no store");
  expect(await sealLogs({ database: fleet.database, logs })).toBe(0);
  await end();
  expect(await sealLogs({ database: fleet.database, logs })).toBe(1);
  const [rows] = await fleet.database`select count(*)::int as parts from log_parts`;
  expect(rows?.["parts"]).toBe(0);
  const whole = await fleet.admin.builds.log(build);
  expect(Buffer.from(whole.bytes).toString()).toContain("two needle\nthree\n");
  expect(await fleet.admin.builds.log(build, { offset: whole.nextOffset })).toMatchObject({
    ended: true,
  });
  expect(await fleet.admin.builds.searchLog(build, { text: "needle" })).toEqual({
    items: [{ offset: 8, line: "two needle" }],
    nextOffset: null,
  });
  const sealed = { segments: 1, bytes: whole.nextOffset, brokenAt: null };
  expect(await fleet.admin.builds.checkLog(build)).toMatchObject(sealed);
  const [segment] = await listSegments(fleet.database, build);
  if (segment === undefined) throw new Error("no segment");
  await logs.delete(segment.key);
  await logs.put(segment.key, [Buffer.from("changed by somebody, of another length")]);
  expect(await fleet.admin.builds.checkLog(build)).toMatchObject({ ...sealed, brokenAt: 0 });
});

test("opens and searches a log of 200 MB without holding it", async () => {
  const { fleet, lease, end } = await startBuild();
  await using _ = fleet;
  const dir = await mkdtemp(join(tmpdir(), "shoal-logs-"));
  try {
    const logs = await openDirectoryBlobs(dir);
    const line = `${"x".repeat(99)}\n`;
    const part = Buffer.from(line.repeat(10_000));
    const parts = 200;
    // As its builder would have sent it, without waiting for each part's answer.
    for (let index = 0; index < parts; index += 1) {
      const bytes = index === parts - 1 ? Buffer.from(part) : part;
      if (index === parts - 1) bytes.write("here it is", part.length - 500);
      await fleet.database`
        insert into log_parts values (${lease.build}, ${index * part.length}, ${bytes})`;
      if (index % 8 === 7) await sealLogs({ database: fleet.database, logs });
    }
    const total = parts * part.length;
    await fleet.database`update attempts set log_received = ${total}, log_kept = ${total}`;
    await end();
    await sealLogs({ database: fleet.database, logs });
    const deps = { ...fleet.deps, logs };
    const { signal } = new AbortController();
    const before = memoryUsage().rss;
    const first = await readLog(deps, lease.build, { offset: 0, waitMs: 0 }, signal);
    expect(first.bytes.length).toBe(logReadBytesMax);
    const query = { text: "here it is", offset: 0, limit: 10 };
    const hits = await searchLog(deps, lease.build, query, signal);
    expect(hits.items.map((hit) => hit.offset)).toEqual([parts * part.length - 500]);
    // How long that takes is measured by `bench queue --log`.
    const grownMiB = (memoryUsage().rss - before) / 2 ** 20;
    expect(grownMiB).toBeLessThan(50 + logSegmentBytes / 2 ** 20);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}, 120_000);
