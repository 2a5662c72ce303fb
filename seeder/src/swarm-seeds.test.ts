// What a seeder brings into the swarm, and how hosts hear of it: with a node that keeps what it is told.
import { cidOf } from "@shoal/core/cid";
import { longManifest } from "@shoal/core/content/long-manifest.test-kit";
import { blocksOf, decodeBlocks } from "@shoal/core/content/manifest-blocks";
import type { JoinOptions, Membership } from "@shoal/peer/peer-node";
import { createKey } from "@shoal/trust/key-file";
import { afterEach, describe, expect, test } from "vitest";
import { makeArtifact, makeRelease, TestFleet, type TestArtifact } from "./fleet.test-kit.ts";
import {
  publish,
  startTestSeeder,
  stopAll,
  type Stops,
  type TestSeeder,
} from "./seeder.test-kit.ts";
import { SwarmSeeds } from "./swarm-seeds.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));
const fleet = new TestFleet();

interface Serving {
  readonly seeder: TestSeeder;
  readonly host: Awaited<ReturnType<TestSeeder["client"]>>;
  readonly joined: readonly JoinOptions[];
  readonly left: readonly string[];
  /** Serves what the seeder holds, or nothing. */
  readonly serve: (isWanted?: boolean) => Promise<void>;
}

/** One chunk, and a manifest that travels in blocks. */
function makeLongArtifact(): TestArtifact {
  const { frames, hashes } = makeArtifact(7, 1);
  const manifestBytes = longManifest(hashes, frames[0]?.bytes.length ?? 0);
  return { cid: cidOf(manifestBytes), manifestBytes, hashes, frames };
}

/** A seeder that holds the artifact, and a host that may have it. */
async function serving(artifact: TestArtifact): Promise<Serving> {
  const seeder = await startTestSeeder({ fleet, stops });
  await publish(await seeder.client(await fleet.ingestGrant()), fleet, artifact);
  await seeder.deps.goals.apply([fleet.goal({ prepare: [makeRelease(artifact.cid)] })]);
  const key = createKey();
  const host = await seeder.client(await fleet.passport(key), key);
  const [joined, left]: [JoinOptions[], string[]] = [[], []];
  const join = (options: JoinOptions): Membership => {
    joined.push(options);
    return {
      addPeers: () => undefined,
      setPaused: () => undefined,
      reused: () => undefined,
      reuseFailed: () => undefined,
      progress: () => {
        throw new Error("nobody asks a seeder how far it is");
      },
      done: Promise.resolve(),
      leave: async () => {
        left.push(options.cid);
      },
    };
  };
  const seeds = new SwarmSeeds({ join }, seeder.deps.store);
  const serve = (isWanted = true): Promise<void> =>
    seeds.serve(isWanted ? seeder.deps.store.held() : []);
  return { seeder, host, joined, left, serve };
}

describe("a manifest", () => {
  test("that is long is answered as a list of blocks, which the seeder serves", async () => {
    const long = makeLongArtifact();
    const { host, joined, left, serve } = await serving(long);
    const { name, chunkBytes } = blocksOf(long.manifestBytes);
    expect(decodeBlocks(await host.getManifestOrBlocks(long.cid)).name).toBe(name);
    expect(await host.getManifest(long.cid)).toHaveLength(long.manifestBytes.length);

    await serve();
    await serve();
    expect(joined.map(({ cid, partOf }) => [cid, partOf])).toEqual([
      [long.cid, undefined],
      [name, long.cid],
    ]);
    const into = new Uint8Array(long.manifestBytes.length);
    await joined[1]?.storage.readRun(0, chunkBytes.length, into);
    expect(Buffer.from(into).equals(long.manifestBytes)).toBe(true);
    await serve(false);
    expect(left).toEqual([long.cid, name]);
  });

  test("that is short is answered whole, whatever is asked for", async () => {
    const short = makeArtifact(1, 3);
    const { host, joined, serve } = await serving(short);
    const bytes = await host.getManifestOrBlocks(short.cid);
    expect(Buffer.from(bytes).equals(short.manifestBytes)).toBe(true);
    await serve();
    expect(joined).toHaveLength(1);
  });
});
