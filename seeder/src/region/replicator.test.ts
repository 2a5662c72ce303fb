// One region pulling from another over real HTTPS, with sources that break, lie and aren't there.
import type { Plan } from "@shoal/api/seeder";
import { createSeederClient, type SeederClient } from "@shoal/api/seeder-client";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeArtifact, TestFleet, type TestArtifact } from "../fleet.test-kit.ts";
import {
  codeOf,
  publish,
  startTestSeeder,
  stopAll,
  temporaryFolder,
  type Stops,
  type TestSeeder,
} from "../seeder.test-kit.ts";
import { Replicator } from "./replicator.ts";

const stops: Stops = [];
const fleet = new TestFleet();
const artifact = makeArtifact(1, 300, 1000);
let north: TestSeeder;
beforeEach(async () => {
  north = await startTestSeeder({ fleet, stops });
  await publish(await north.client(await fleet.ingestGrant()), fleet, artifact);
});
afterEach(() => stopAll(stops));

/** Lets a test stand between the puller and its source. */
type Wrap = (client: SeederClient) => Partial<SeederClient>;

async function puller(
  south: TestSeeder,
  wrap: Wrap = () => ({}),
  region = "north",
): Promise<{ pull: (planned: Plan["artifacts"]) => Promise<void>; held: string[] }> {
  const grant = await fleet.grant({ scope: "pull", regions: [region] });
  const held: string[] = [];
  const replicator = new Replicator({
    ...south.deps,
    onHeld: () => held.push("held"),
    connect: ({ url, peerId }) => {
      const fetch = createPinnedFetch({ peerId, connectMsMax: 500 });
      stops.push(() => fetch.close());
      const client = createSeederClient({ url, fetch, token: () => grant });
      return { ...client, ...wrap(client) };
    },
  });
  const signal = new AbortController().signal;
  return { pull: (planned) => replicator.pull(planned, signal), held };
}

function planned(
  sources = [source(north)],
  { cid }: TestArtifact = artifact,
  project = "web",
): Plan["artifacts"] {
  return [{ cid, project, sources }];
}

function source({ url, key }: TestSeeder): Plan["artifacts"][number]["sources"][number] {
  return { region: "north", url, peerId: key.peerId };
}

test("a region holds what it pulled, byte for byte, also after a restart", async () => {
  const folder = await temporaryFolder(stops);
  const open = async (): Promise<TestSeeder> =>
    startTestSeeder({
      fleet,
      stops,
      folder,
      region: "south",
      blobs: await openDirectoryBlobs(join(folder, "store")),
    });
  const south = await open();
  const { pull, held } = await puller(south);
  await pull(planned());
  expect(held).toEqual(["held"]);
  await pull(planned());
  expect(held).toEqual(["held"]);
  await south.stop();

  const again = await open();
  expect(again.deps.store.get(artifact.cid)?.project).toBe("web");
  for (const { hash, bytes } of artifact.frames)
    expect(Buffer.from(await again.deps.store.chunks.read(hash)).equals(bytes)).toBe(true);
});

test("a pull that broke off goes on with what is missing", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  let asked = 0;
  const counting: Wrap = (client) => ({
    getChunks: (cid, hashes, options) => {
      asked += hashes.length / 32;
      return client.getChunks(cid, hashes, options);
    },
  });
  const breaking = await puller(south, (client) => ({
    getChunks: async function* (cid, hashes, options) {
      let count = 0;
      for await (const frame of client.getChunks(cid, hashes, options)) {
        if (count++ === 20) throw new Error("the line is cut");
        yield frame;
      }
    },
  }));
  await expect(breaking.pull(planned())).rejects.toThrow("the line is cut");
  const { chunksCount } = south.deps.store.chunks;
  expect(chunksCount).toBeGreaterThanOrEqual(20);
  expect(south.deps.store.get(artifact.cid)).toBeUndefined();

  await (await puller(south, counting)).pull(planned());
  expect(asked).toBe(300 - chunksCount);
});

test("a source that isn't there, or is somebody else, leaves it to the next one", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const gone = await startTestSeeder({ fleet, stops });
  await gone.stop();
  const impostor = { ...source(gone), url: north.url };
  const { pull, held } = await puller(south);
  await pull(planned([source(gone), impostor, source(north)]));
  expect(held).toEqual(["held"]);
});

test("wrong bytes from a source are refused, and nothing of them stays", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const lying = await puller(south, (client) => ({
    getChunks: async function* (cid, hashes, options) {
      for await (const { hash, bytes } of client.getChunks(cid, hashes, options))
        yield { hash, bytes: bytes.toReversed() };
    },
  }));
  expect(await codeOf(lying.pull(planned()))).toBe("chunk_mismatch");
  expect(south.deps.store.chunks.chunksCount).toBe(0);
  expect(lying.held).toEqual([]);
});

test("chunks that nobody asked for are refused", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const other = makeArtifact(5000, 300, 1000);
  const stuffing = await puller(south, () => ({
    getChunks: async function* () {
      yield* other.frames;
    },
  }));
  expect(await codeOf(stuffing.pull(planned()))).toBe("chunks_missing");
  expect(south.deps.store.chunks.chunksCount).toBe(0);
});

test("a manifest of another artifact is refused", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const other = makeArtifact(5000, 3);
  const swapping = await puller(south, () => ({ getManifest: async () => other.manifestBytes }));
  expect(await codeOf(swapping.pull(planned()))).toBe("manifest_mismatch");
});

test("a statement about another project than the plan's is refused before any chunk is asked for", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const { pull } = await puller(south);
  expect(await codeOf(pull(planned([source(north)], artifact, "api")))).toBe(
    "statement_project_wrong",
  );
  expect(south.deps.store.chunks.chunksCount).toBe(0);
});

test("a grant for other regions gets nothing", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const { pull } = await puller(south, undefined, "south");
  expect(await codeOf(pull(planned()))).toBe("grant_region_wrong");
});

test("one artifact that can't be pulled doesn't hold up the others", async () => {
  const south = await startTestSeeder({ fleet, stops, region: "south" });
  const { pull, held } = await puller(south);
  const missing = planned([source(north)], makeArtifact(7000, 2));
  expect(await codeOf(pull([...missing, ...planned()]))).toBe("not_found");
  expect(held).toEqual(["held"]);
});
