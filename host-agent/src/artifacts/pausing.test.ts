import { join } from "node:path";
import type { Release } from "@shoal/core/rollout/release";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { expect, onTestFinished, test } from "vitest";
import {
  makeArtifact,
  MemorySwarm,
  nowMs,
  startTestSeeder,
  TestRegion,
  type TestArtifact,
} from "../region.test-kit.ts";
import { release, runSpec } from "../releases.test-kit.ts";
import { Seeders } from "../seeders.ts";
import { eventually, silentLog, testFolder } from "../test-folder.test-kit.ts";
import { Artifacts } from "./artifacts.ts";

async function openHost() {
  const region = new TestRegion();
  const seeder = await startTestSeeder(region);
  const certificate = await createCertificate(createKey());
  const seeders = new Seeders({ certificate, passport: () => "" }, [seeder]);
  onTestFinished(() => seeders.close());
  const dir = join(await testFolder(), "releases");
  const told: string[] = [];
  const open = async (swarm: MemorySwarm): Promise<Artifacts> => {
    const artifacts = new Artifacts(
      {
        node: swarm,
        knownPeers: () => [],
        seeders,
        statement: () => undefined,
        trust: () => region.trust,
        now: () => nowMs,
        monotonic: () => performance.now(),
        onHeld: (cid) => told.push(`held ${cid}`),
        onLost: (cid) => told.push(`lost ${cid}`),
        onFailed: (_cid, code) => told.push(`failed ${code}`),
        onChange: () => undefined,
        occupied: () => [],
        log: silentLog,
      },
      { dir, oldBytesMax: 1_000_000_000, unfinishedBytesMax: 1_000_000_000 },
    );
    await artifacts.load();
    return artifacts;
  };
  const swarm = new MemorySwarm(region);
  const host = { region, seeder, told, swarm, artifacts: await open(swarm) };
  onTestFinished(() => host.artifacts.stop());
  const restart = async (): Promise<void> => {
    await host.artifacts.stop();
    host.swarm = new MemorySwarm(region);
    host.artifacts = await open(host.swarm);
  };
  return Object.assign(host, { restart });
}

const [a, b, c] = [makeArtifact(100, 20), makeArtifact(105, 20), makeArtifact(900, 20)];
const of = ({ cid }: TestArtifact): Release => release(runSpec("x"), cid);
const isHeld =
  (host: { artifacts: Artifacts }, { cid }: TestArtifact) =>
  () =>
    host.artifacts.isHeld(cid);

test("is paused by a person: nothing more comes, it says so, over a restart too, and goes on", async () => {
  const host = await openHost();
  host.region.add(a);
  host.swarm.allow = 8;
  host.artifacts.want([of(a)]);
  await eventually(() => host.artifacts.describe(a.cid).startsWith("40% here"));
  const paused = new Set([a.cid]);
  host.artifacts.pause(paused);
  host.swarm.allow = Number.POSITIVE_INFINITY;
  const said = "40% here, 1 links, waits for 1 of 1 pieces: paused by a person";
  await eventually(() => host.artifacts.describe(a.cid) === said);
  expect(host.artifacts.fetches()).toMatchObject([{ waits: { reason: "paused" } }]);
  await host.restart();
  host.artifacts.pause(paused);
  host.artifacts.want([of(a), of(b), of(c)]);
  // It is a member that serves what it has, and takes nobody's place.
  await eventually(() => host.artifacts.describe(a.cid) === said);
  host.region.add(b);
  host.region.add(c);
  await eventually(() => [b, c].every((other) => isHeld(host, other)()));
  expect(host.artifacts.describe(a.cid)).toBe(said);
  expect(host.artifacts.isHeld(a.cid)).toBe(false);
  host.artifacts.pause(new Set());
  await eventually(isHeld(host, a));
  expect(host.told).not.toContain("failed fetch_failed");
});

test("doesn't ask for the manifest of what was paused before it began, and says so", async () => {
  const host = await openHost();
  host.region.add(a);
  host.artifacts.pause(new Set([a.cid]));
  host.artifacts.want([of(a)]);
  await eventually(() => host.seeder.asked.some((path) => path.endsWith("/statement")));
  expect(host.artifacts.describe(a.cid)).toBe("paused by a person");
  expect(host.swarm.joined).toEqual([]);
  expect(host.seeder.asked.filter((path) => path.includes("manifest"))).toEqual([]);
  host.artifacts.pause(new Set());
  await eventually(isHeld(host, a));
});
