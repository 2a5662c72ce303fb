import { afterEach, beforeEach, expect, test } from "vitest";
import { artifactOf, Fleet, MemoryStorage, seed, until } from "./fleet.test-kit.ts";

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet();
});
afterEach(() => fleet.close());

test("an artifact of which chunks lie elsewhere on the disk is fetched for the rest, and for what isn't there", async () => {
  const artifact = artifactOf(40, 1);
  const seeder = await fleet.member({ seeder: true });
  const host = await fleet.member();
  seed(seeder, artifact);
  const storage = new MemoryStorage(artifact, () => false);
  const { cid, manifest } = artifact;
  const reusing = Uint8Array.from([0, 0xff, 0xff, 0, 0]);
  const membership = host.node.join({ cid, manifest, storage, reusing, priority: 0 });
  membership.addPeers([seeder.candidate]);
  await until(
    () => membership.progress().chunksHeld === 24,
    () => JSON.stringify(membership.progress()),
  );
  for (let chunk = 8; chunk < 20; chunk += 1) storage.chunks[chunk] = artifact.chunks[chunk];
  membership.reused(8, 12);
  expect(membership.progress().chunksHeld).toBe(36);
  membership.reuseFailed(20, 4);
  await membership.done;
  expect(storage.chunks).toEqual(artifact.chunks);
  const copied = artifact.chunks.slice(8, 20).reduce((total, { length }) => total + length, 0);
  expect(membership.progress().bytesFromSeeders).toBe(manifest.bytes - copied);
  await membership.leave();
  // A copy that ends late is of no interest to anybody.
  membership.reused(8, 12);
});
