import { execFileSync, spawnSync } from "node:child_process";
import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cidOf } from "@shoal/core/cid";
import { longManifest } from "@shoal/core/content/long-manifest.test-kit";
import { blocksOf } from "@shoal/core/content/manifest-blocks";
import { digest } from "@shoal/core/digest";
import type { ArtifactCid } from "@shoal/core/ids";
import { countBits } from "@shoal/core/swarm/bitfield";
import type { Release } from "@shoal/core/rollout/release";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeArtifact, type TestArtifact } from "../region.test-kit.ts";
import { release, runSpec } from "../releases.test-kit.ts";
import { eventually, testFolder } from "../test-folder.test-kit.ts";
import { openHost as openTestHost, type TestHost } from "./artifacts.test-kit.ts";

/** A small tree with a manifest that travels in blocks. */
function makeLongArtifact(): TestArtifact {
  const chunk = Buffer.from("hello");
  const manifestBytes = longManifest(digest(chunk), chunk.length);
  return { cid: cidOf(manifestBytes), manifestBytes, chunks: [chunk] };
}

const a = makeArtifact(100, 20);
/** Three quarters of it are chunks of `a`. */
const b = makeArtifact(105, 20);
const c = makeArtifact(900, 20);
const nameOf = (cid: ArtifactCid): string =>
  Object.entries({ a, b, c }).find(([, artifact]) => artifact.cid === cid)?.[0] ?? cid;
const openHost = (oldBytesMax = 1_000_000_000, parent?: string): Promise<TestHost> =>
  openTestHost({ oldBytesMax, ...(parent === undefined ? {} : { parent }), nameOf });
const of = ({ cid }: TestArtifact): Release => release(runSpec("x"), cid);
const isHeld = (host: TestHost, artifact: TestArtifact) => () =>
  host.artifacts.isHeld(artifact.cid);
const onDisk = async (host: TestHost): Promise<readonly string[]> =>
  (await readdir(host.dir))
    .filter((name) => name !== "damaged")
    .map(nameOf)
    .toSorted();

/** Only root can, and not in every container. */
const canMount = process.getuid?.() === 0 && spawnSync("unshare", ["--mount", "true"]).status === 0;

/** A file system of its own, which has room for so many KiB. */
async function smallDisk(kibibytes: number): Promise<string> {
  const folder = await testFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kibibytes}k`, "tmpfs", folder]);
  // Registered later than the removal of the folder, so done before it.
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  return folder;
}

async function contentOf(host: TestHost, { cid }: TestArtifact): Promise<Buffer> {
  return readFile(join(host.artifacts.treePath(cid), "program"));
}

describe("fetching", { timeout: 30_000 }, () => {
  test("brings an artifact here, whole and executable, and serves it", async () => {
    const host = await openHost();
    host.region.add(a);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    expect((await contentOf(host, a)).equals(Buffer.concat(a.chunks))).toBe(true);
    const { mode } = await stat(join(host.artifacts.treePath(a.cid), "program"));
    expect(mode & 0o111).not.toBe(0);
    expect(host.told).toEqual(["held a"]);
    expect(host.artifacts.fetches()).toMatchObject([
      { artifact: a.cid, bytes: 60_000, bytesReused: 0, bytesFromPeers: 60_000 },
    ]);
    expect(host.seeder.asked.some((path) => path.endsWith(`${a.cid}/announce`))).toBe(true);
    expect(host.swarm.left).toEqual([]);
  });

  test("takes from older releases what they have", async () => {
    const host = await openHost();
    host.region.add(a);
    host.region.add(b);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    host.artifacts.want([of(a), of(b)]);
    await eventually(isHeld(host, b));
    expect(host.artifacts.fetches()[0]).toMatchObject({
      bytesReused: 45_000,
      bytesFromPeers: 15_000,
    });
    expect((await contentOf(host, b)).equals(Buffer.concat(b.chunks))).toBe(true);
  });

  test("fetches nothing that no trusted builder signed for the project, and says so", async () => {
    const host = await openHost();
    host.region.add(a);
    host.region.statements.set(a.cid, host.region.statement(b.cid));
    host.artifacts.want([of(a)]);
    await eventually(() => host.told.includes("failed a statement_subject_wrong"));
    expect(host.swarm.joined).toEqual([]);
    expect(host.seeder.asked.filter((path) => path.includes("manifest"))).toEqual([]);
    expect(await onDisk(host)).toEqual([]);
    // The seeder that had it wrong gets it right, and the host goes on by itself.
    host.region.add(a);
    await eventually(isHeld(host, a));
  });

  test("refuses another manifest than the one that was named", async () => {
    const host = await openHost();
    host.region.add(a);
    host.seeder.answer = (path) =>
      path.includes("/manifest") ? { status: 200, body: b.manifestBytes } : undefined;
    host.artifacts.want([of(a)]);
    await eventually(() => host.told.includes("failed a manifest_mismatch"));
    expect(host.swarm.joined).toEqual([]);
  });

  test("takes a long manifest in blocks from the swarm, and serves them from disk afterwards", async () => {
    const host = await openHost();
    const long = host.region.add(makeLongArtifact());
    host.artifacts.want([of(long)]);
    await eventually(isHeld(host, long));
    const { name, bytes, chunkBytes } = blocksOf(long.manifestBytes);
    expect(host.swarm.joined).toEqual([name, long.cid]);
    expect(host.seeder.asked.some((path) => path.endsWith("/manifest"))).toBe(false);
    const into = Buffer.alloc(bytes);
    await host.swarm.storages.get(name)?.readRun(0, chunkBytes.length, into);
    expect(into.equals(long.manifestBytes)).toBe(true);

    await host.restart();
    host.artifacts.want([of(long)]);
    await eventually(isHeld(host, long));
    expect(host.swarm.joined).toEqual([name, long.cid]);
    const held = host.swarm.storages.get(name)?.heldChunks() ?? new Uint8Array();
    expect(countBits(held)).toBe(chunkBytes.length);
    await writeFile(join(host.dir, long.cid, "manifest"), new Uint8Array(bytes));
    const read = host.swarm.storages.get(name)?.readRun(0, chunkBytes.length, into);
    await expect(read).rejects.toMatchObject({ code: "chunk_withdrawn" });
    host.artifacts.want([]);
    await eventually(() => host.swarm.left.includes(name));
  });

  test("takes a long manifest whole from a seeder when its list of blocks was false", async () => {
    const host = await openHost();
    const long = host.region.add(makeLongArtifact());
    const lie = blocksOf(Uint8Array.from([...long.manifestBytes, 0]));
    host.seeder.answer = (path) =>
      path.includes("blocks=") ? { status: 200, body: lie.encoded } : undefined;
    host.artifacts.want([of(long)]);
    await eventually(isHeld(host, long));
    expect(host.seeder.asked.filter((path) => path.endsWith("/manifest"))).toHaveLength(1);
    expect(host.swarm.left).toEqual([lie.name]);
  });

  test("goes on after a restart with what it had", async () => {
    const host = await openHost();
    host.region.add(a);
    host.swarm.allow = 8;
    host.artifacts.want([of(a)]);
    const soFar = "40% here, 1 links, waits for 1 of 1 pieces: no peer is linked, 0 are known";
    await eventually(() => host.artifacts.describe(a.cid) === soFar);
    await host.restart();
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    expect(host.artifacts.fetches()).toMatchObject([{ bytesFromPeers: 36_000 }]);
  });

  test("has a whole artifact again after a restart without asking anybody but for the statement", async () => {
    const host = await openHost();
    host.region.add(a);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    await host.restart();
    host.seeder.asked.length = 0;
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    expect(host.seeder.asked.filter((path) => path.includes("manifest"))).toEqual([]);
    expect(host.artifacts.fetches()).toEqual([]);
  });

  test("notices after a restart what was changed on disk, and mends it from what is still good", async () => {
    const host = await openHost();
    host.region.add(a);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    const program = join(host.artifacts.treePath(a.cid), "program");
    await host.restart();
    const content = await readFile(program);
    content.fill(0, 0, 1000);
    await chmod(program, 0o755);
    await writeFile(program, content);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    expect(host.told).toEqual(["failed a artifact_damaged", "lost a", "held a"]);
    expect((await contentOf(host, a)).equals(Buffer.concat(a.chunks))).toBe(true);
    expect(host.artifacts.fetches()).toMatchObject([{ bytesReused: 57_000, bytesFromPeers: 3000 }]);
    await eventually(async () => (await readdir(join(host.dir, "damaged"))).length === 0);
  });

  test("mends what is changed while it is served, without a restart", async () => {
    const host = await openHost();
    host.region.add(a);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    const program = join(host.artifacts.treePath(a.cid), "program");
    const content = await readFile(program);
    content.fill(0, 0, 1000);
    await chmod(program, 0o755);
    await writeFile(program, content);
    const served = host.swarm.storages.get(a.cid);
    const first = new Uint8Array(a.chunks[0]?.length ?? 0);
    await expect(served?.readRun(0, 1, first)).rejects.toMatchObject({ code: "chunk_withdrawn" });
    await eventually(() => host.told.length === 5);
    expect(host.told).toEqual([
      "held a",
      "lost a",
      "failed a artifact_damaged",
      "lost a",
      "held a",
    ]);
    expect((await contentOf(host, a)).equals(Buffer.concat(a.chunks))).toBe(true);
    expect(host.artifacts.fetches()[0]).toMatchObject({
      bytesReused: 57_000,
      bytesFromPeers: 3000,
    });
  });

  test("mends when it is asked to, and removes what nothing wants", async () => {
    const host = await openHost();
    host.region.add(a);
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
    await chmod(join(host.artifacts.treePath(a.cid), "program"), 0o777);
    expect(await host.artifacts.mend(a.cid)).toBe("mending");
    await eventually(isHeld(host, a));
    expect(host.told.slice(1)).toEqual(["lost a", "failed a artifact_damaged", "lost a", "held a"]);
    expect(host.artifacts.fetches()[0]).toMatchObject({ bytesReused: 60_000, bytesFromPeers: 0 });
    host.occupied = [a.cid];
    host.artifacts.want([]);
    expect(await host.artifacts.mend(a.cid)).toBe("in use");
    host.occupied = [];
    expect(await host.artifacts.mend(a.cid)).toBe("removed");
    expect(await onDisk(host)).toEqual([]);
  });

  test("does a few at once, the most urgent first", async () => {
    const host = await openHost();
    const artifacts = Array.from({ length: 8 }, (_, index) => makeArtifact(1000 + 50 * index, 3));
    for (const artifact of artifacts) host.region.add(artifact);
    host.artifacts.want(artifacts.map(of));
    await eventually(() => artifacts.every((artifact) => host.artifacts.isHeld(artifact.cid)));
    expect(host.swarm.atOnceMax).toBeLessThanOrEqual(3);
    expect(new Set(host.swarm.joined.slice(0, 3))).toEqual(
      new Set(artifacts.slice(0, 3).map(({ cid }) => cid)),
    );
  });

  test("ends when nobody wants it any more, and leaves the swarm", async () => {
    const host = await openHost();
    host.region.add(a);
    host.swarm.allow = 1;
    host.artifacts.want([of(a)]);
    await eventually(() => host.swarm.joined.length === 1);
    host.artifacts.want([]);
    await eventually(() => host.swarm.left.length === 1);
    expect(host.told).toEqual([]);
    // Wanted again at once: it goes on.
    host.swarm.allow = Number.POSITIVE_INFINITY;
    host.artifacts.want([of(a)]);
    await eventually(isHeld(host, a));
  });
});

describe("removing", { timeout: 30_000 }, () => {
  async function holdAll(host: TestHost): Promise<void> {
    for (const artifact of [a, b, c]) {
      host.region.add(artifact);
      host.artifacts.want([of(artifact)]);
      await eventually(isHeld(host, artifact));
    }
  }

  test("keeps old artifacts within the budget, and what programs run on", async () => {
    const host = await openHost(60_000);
    host.occupied = [a.cid];
    await holdAll(host);
    await eventually(async () => (await onDisk(host)).length === 3);
    host.artifacts.want([]);
    // c was named last, a is in use.
    await eventually(async () => (await onDisk(host)).length < 3);
    expect(await onDisk(host)).toEqual(["a", "c"]);
    host.occupied = [];
    host.artifacts.want([]);
    await eventually(async () => (await onDisk(host)).length < 2);
    expect(await onDisk(host)).toEqual(["c"]);
  });

  test.runIf(canMount)("makes room on a disk that is too small for all of them", async () => {
    const host = await openHost(1_000_000_000, await smallDisk(200));
    await holdAll(host);
    expect(host.told).toContain("failed c disk_too_small");
    expect(await onDisk(host)).toEqual(["c"]);
  });

  test.runIf(canMount)(
    "says when the disk is too small, and goes on when it isn't any more",
    async () => {
      const disk = await smallDisk(120);
      const host = await openHost(1_000_000_000, disk);
      await writeFile(join(disk, "somebody else's"), new Uint8Array(80_000));
      host.region.add(a);
      host.artifacts.want([of(a)]);
      await eventually(() => host.told.includes("failed a disk_too_small"));
      expect(host.swarm.joined).toEqual([]);
      await rm(join(disk, "somebody else's"));
      await eventually(isHeld(host, a));
    },
  );

  test("leaves alone what isn't an artifact", async () => {
    const host = await openHost(0);
    await writeFile(join(host.dir, "notes.txt"), "mine");
    await holdAll(host);
    host.artifacts.want([]);
    await eventually(async () => (await onDisk(host)).length < 2);
    expect(await onDisk(host)).toEqual(["notes.txt"]);
  });
});
