// For tests: a host's artifacts on a real folder and a real seeder, with a swarm in memory.
import { join } from "node:path";
import type { ArtifactCid } from "@shoal/core/ids";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { onTestFinished } from "vitest";
import { nowMs, startTestSeeder, TestRegion, type TestSeeder } from "../region.test-kit.ts";
import { MemorySwarm } from "../memory-swarm.test-kit.ts";
import { Seeders } from "../seeders.ts";
import { silentLog, testFolder } from "../test-folder.test-kit.ts";
import { Artifacts } from "./artifacts.ts";

export interface TestHost {
  readonly region: TestRegion;
  readonly seeder: TestSeeder;
  readonly dir: string;
  swarm: MemorySwarm;
  artifacts: Artifacts;
  occupied: ArtifactCid[];
  readonly told: string[];
  /** As after a kill of the agent and its restart. */
  readonly restart: () => Promise<void>;
}

interface TestHostOptions {
  readonly oldBytesMax?: number;
  /** Where its folder is made; one of its own when absent. */
  readonly parent?: string;
  /** How `told` names artifacts. */
  readonly nameOf?: (cid: ArtifactCid) => string;
}

/** Closed and removed when the test is over. */
export async function openHost(options: TestHostOptions = {}): Promise<TestHost> {
  const { oldBytesMax = 1_000_000_000, parent, nameOf = (cid) => cid } = options;
  const region = new TestRegion();
  const seeder = await startTestSeeder(region);
  const certificate = await createCertificate(createKey());
  const seeders = new Seeders({ certificate, passport: () => "" }, [seeder]);
  onTestFinished(() => seeders.close());
  const dir = join(parent ?? (await testFolder()), "releases");
  const told: string[] = [];
  const open = async (): Promise<Artifacts> => {
    const artifacts = new Artifacts(
      {
        node: host.swarm,
        knownPeers: () => [],
        seeders,
        statement: () => undefined,
        trust: () => region.trust,
        now: () => nowMs,
        monotonic: () => performance.now(),
        onHeld: (cid) => told.push(`held ${nameOf(cid)}`),
        onLost: (cid) => told.push(`lost ${nameOf(cid)}`),
        onFailed: (cid, code) => told.push(`failed ${nameOf(cid)} ${code}`),
        onChange: () => undefined,
        occupied: () => host.occupied,
        log: silentLog,
      },
      { dir, oldBytesMax, unfinishedBytesMax: 1_000_000_000 },
    );
    await artifacts.load();
    return artifacts;
  };
  const host = { region, seeder, dir, told, occupied: [] } as unknown as TestHost;
  host.swarm = new MemorySwarm(region);
  host.artifacts = await open();
  onTestFinished(() => host.artifacts.stop());
  return Object.assign(host, {
    restart: async () => {
      await host.artifacts.stop();
      host.swarm = new MemorySwarm(region);
      told.length = 0;
      host.artifacts = await open();
    },
  });
}
