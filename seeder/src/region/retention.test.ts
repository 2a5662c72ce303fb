import { uploadIdleMsMax } from "@shoal/core/limits";
import { minuteMs } from "@shoal/core/units";
import { afterEach, expect, test } from "vitest";
import { makeArtifact, TestFleet } from "../fleet.test-kit.ts";
import {
  publish,
  startTestSeeder,
  stopAll,
  type Stops,
  type TestSeeder,
} from "../seeder.test-kit.ts";
import { Retention } from "./retention.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));
const fleet = new TestFleet();
const graceMs = 60 * minuteMs;

async function start(): Promise<{
  seeder: TestSeeder;
  run: (named: readonly string[] | null, laterMs?: number) => Promise<void>;
}> {
  const seeder = await startTestSeeder({ fleet, stops });
  const retention = new Retention({ ...seeder.deps, onDropped: () => undefined }, graceMs);
  return {
    seeder,
    run: async (named, laterMs = 0) => {
      seeder.clock.nowMs += laterMs;
      await retention.run(named === null ? null : new Set(named));
    },
  };
}

/** Pushes under a fresh grant, so that the clock may have moved. */
async function push(seeder: TestSeeder, artifact: ReturnType<typeof makeArtifact>): Promise<void> {
  const regions = ["north"];
  const facts = {
    scope: "ingest" as const,
    regions,
    project: "web",
    build: 1,
    attempt: 1,
    fence: "1",
  };
  await publish(await seeder.client(await fleet.grant(facts, seeder.clock.nowMs)), fleet, artifact);
}

test("an artifact that nothing names goes after its grace, with the chunks that only it had", async () => {
  const { seeder, run } = await start();
  const { store } = seeder.deps;
  const [old, kept] = [makeArtifact(1, 30), makeArtifact(29, 10)];
  await push(seeder, old);
  await push(seeder, kept);
  await run([kept.cid]);
  await run([kept.cid], graceMs - 1);
  expect(store.get(old.cid)).toBeDefined();
  await run([kept.cid], 1);
  expect(store.get(old.cid)).toBeUndefined();
  // Chunks that were counted on lately outlive one more collection.
  await run([kept.cid]);
  await run([kept.cid]);
  expect(store.chunks.missing(old.hashes)).toHaveLength(28 * 32);
  expect(store.chunks.missing(kept.hashes)).toHaveLength(0);
  expect(await store.unfinished()).toEqual([]);
});

test("nothing goes while no plan is known, or after it is named again", async () => {
  const { seeder, run } = await start();
  const artifact = makeArtifact(1, 3);
  await push(seeder, artifact);
  await run(null);
  await run(null, 10 * graceMs);
  await run([]);
  await run([artifact.cid], graceMs);
  await run([]);
  expect(seeder.deps.store.get(artifact.cid)).toBeDefined();
});

test("an artifact that is published again within its grace gets a new one", async () => {
  const { seeder, run } = await start();
  const artifact = makeArtifact(1, 3);
  await push(seeder, artifact);
  await run([]);
  await push(seeder, artifact);
  await run([], graceMs);
  expect(seeder.deps.store.get(artifact.cid)).toBeDefined();
  await run([]);
  await run([], graceMs);
  expect(seeder.deps.store.get(artifact.cid)).toBeUndefined();
});

test("an upload that never ended is forgotten with its chunks and its manifest", async () => {
  const { seeder, run } = await start();
  const { store, uploads } = seeder.deps;
  const artifact = makeArtifact(1, 3);
  const builder = await seeder.client(await fleet.ingestGrant());
  await builder.putChunks(artifact.frames);
  await builder.putManifest(artifact.cid, artifact.manifestBytes);
  await run([]);
  await run([]);
  await run([]);
  // While it may go on, it finds what it sent.
  expect(store.chunks.missing(artifact.hashes)).toHaveLength(0);
  expect(await store.unfinished()).toEqual([artifact.cid]);
  await run([], uploadIdleMsMax + 1);
  for (let count = 0; count < 3; count += 1) await run([]);
  expect(await store.unfinished()).toEqual([]);
  expect(store.chunks.chunksCount).toBe(0);
  expect(uploads.isNamed(artifact.hashes.subarray(0, 32))).toBe(false);
});

test("chunks of an artifact that is on its way survive any number of collections", async () => {
  const { seeder, run } = await start();
  const { store } = seeder.deps;
  const artifact = makeArtifact(1, 3);
  const other = await startTestSeeder({ fleet, stops });
  await push(other, artifact);
  const manifest = other.deps.store.get(artifact.cid)?.manifest;
  if (manifest === undefined) throw new Error("it was published");
  const arrived = store.expect(manifest);
  for (const { hash, bytes } of artifact.frames) await store.chunks.put(hash, bytes);
  await store.chunks.flush();
  for (let count = 0; count < 4; count += 1) await run([]);
  expect(store.chunks.chunksCount).toBe(3);
  arrived();
  arrived();
  for (let count = 0; count < 4; count += 1) await run([]);
  expect(store.chunks.chunksCount).toBe(0);
});
