// For tests of the seeder: one that listens on a free loopback port with everything but the loops to
// the control plane and the swarm, which tests of those start themselves.
import type { JoinTokens } from "@shoal/api/seeder";
import { createSeederClient, type SeederClient } from "@shoal/api/seeder-client";
import { ShoalError } from "@shoal/core/error";
import { Prng } from "@shoal/core/prng";
import { StateFile } from "@shoal/daemon/atomic-file";
import { createLog, type Log } from "@shoal/daemon/log";
import type { BlobStore } from "@shoal/store/blob-store";
import { openChunkStore } from "@shoal/store/chunk-store";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey, type KeyFile } from "@shoal/trust/key-file";
import { openTestTrust, type TestTrust } from "@shoal/trust/keeper.test-kit";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp, type SeederDeps } from "./app.ts";
import { Changes } from "./changes.ts";
import { startMs, type TestArtifact, type TestFleet } from "./fleet.test-kit.ts";
import { Goals } from "./goals.ts";
import { Admissions } from "./hosts/admissions.ts";
import { HostAnswers } from "./hosts/host-answers.ts";
import { Joins, type JoinsDeps } from "./hosts/joins.ts";
import { HostTable } from "./hosts/host-table.ts";
import { type AskLease, LeaseChecks } from "./ingest/lease-checks.ts";
import { Uploads } from "./ingest/uploads.ts";
import { MemberTable } from "./member-table.ts";
import { ArtifactFiles } from "./region/artifact-files.ts";
import { RegionStore } from "./region/region-store.ts";
import { Callers } from "./routes/callers.ts";
import { startServer } from "./server.ts";

/** Stops, in reverse order, what a test started. */
export type Stops = (() => Promise<unknown>)[];

export async function stopAll(stops: Stops): Promise<void> {
  for (const stop of stops.splice(0).toReversed()) await stop();
}

export async function temporaryFolder(stops: Stops): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-seeder-"));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function silentLog(): Log {
  return createLog("seeder", "error", { write: () => undefined });
}

export interface TestClock {
  nowMs: number;
}

export interface TestSeeder {
  readonly deps: SeederDeps;
  readonly clock: TestClock;
  readonly trust: TestTrust;
  readonly admissions: Admissions;
  readonly key: KeyFile;
  readonly url: string;
  /** A client with this passport or grant, and the certificate of the key when there is one. */
  client(token: string, key?: KeyFile): Promise<SeederClient>;
  stop(): Promise<void>;
}

export interface TestSeederOptions {
  readonly fleet: TestFleet;
  readonly stops: Stops;
  readonly region?: string;
  readonly blobs?: BlobStore;
  readonly folder?: string;
  /** The control plane's answer to a host that joins. */
  readonly askControlPlane?: JoinsDeps["askControlPlane"];
  readonly tellAdmissions?: JoinsDeps["tellAdmissions"];
  /** Leave to issue passports; none when absent. */
  readonly delegation?: (key: KeyFile) => Promise<string>;
  readonly joinTokens?: JoinTokens["items"];
  readonly checkLease?: AskLease;
}

export async function startTestSeeder(options: TestSeederOptions): Promise<TestSeeder> {
  const { fleet, stops, region = "north" } = options;
  const clock: TestClock = { nowMs: startMs };
  const key = createKey();
  const now = (): number => clock.nowMs;
  const trust = await openTestTrust(fleet.trust, { now, region });
  const folder = options.folder ?? (await temporaryFolder(stops));
  const admissions = new Admissions({
    file: new StateFile(join(folder, "admissions.json"), 1_000_000),
    self: key.peerId,
    region: () => region,
    seeders: () => [{ peerId: key.peerId }],
    now,
    log: silentLog(),
  });
  await admissions.load();
  if (options.joinTokens !== undefined) await admissions.takeTokens(options.joinTokens);
  const delegation = (await options.delegation?.(key)) ?? null;
  const deps = await createDeps(options, region);
  const certificate = await createCertificate(key);
  const config = { host: "127.0.0.1", port: 0, certificate };
  const server = await startServer(createApp(deps).fetch, config);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server.stop());
  stops.push(stop);
  const url = `https://127.0.0.1:${server.port}`;
  return {
    deps,
    clock,
    trust,
    admissions,
    key,
    url,
    stop,
    client: async (token, clientKey) => {
      const own = clientKey === undefined ? undefined : await createCertificate(clientKey);
      const fetch = createPinnedFetch({ peerId: key.peerId, certificate: own });
      stops.push(() => fetch.close());
      return createSeederClient({ url, fetch, token: () => token });
    },
  };

  async function createDeps(given: TestSeederOptions, ownRegion: string): Promise<SeederDeps> {
    const blobs = given.blobs ?? new MemoryBlobs();
    const store = new RegionStore(await openChunkStore(blobs), new ArtifactFiles(blobs));
    await store.load();
    const log = silentLog();
    const file = new StateFile(join(folder, "goals.json"), 1_000_000);
    const { keeper } = trust;
    const goals = new Goals({
      file,
      trust: () => keeper.document(),
      now,
      region: () => ownRegion,
      log,
    });
    await goals.load();
    return {
      store,
      uploads: new Uploads(),
      leases: new LeaseChecks(given.checkLease ?? (async () => undefined), now),
      goals,
      answers: new HostAnswers({
        goals,
        store,
        seeders: () => noSeeders,
        trustEdition: () => keeper.edition(),
      }),
      hosts: new HostTable(),
      members: new MemberTable(new Prng(1)),
      callers: new Callers({ trust: keeper, now, region: () => ownRegion }),
      changes: new Changes(),
      trust: keeper,
      swarmSeeders: () => [],
      joins: new Joins({
        askControlPlane:
          given.askControlPlane ?? (() => Promise.reject(new Error("no control plane"))),
        admissions,
        tellAdmissions: given.tellAdmissions ?? (() => Promise.resolve()),
        key,
        delegation: () => delegation,
        region: () => ownRegion,
        now,
      }),
      now,
      log,
    };
  }
}

const noSeeders: [] = [];

/** Publishes as a builder does: asks, sends what is missing, then manifest and statement. */
export async function publish(
  client: SeederClient,
  fleet: TestFleet,
  artifact: TestArtifact,
  project = "web",
): Promise<{ sent: number }> {
  const missing = Buffer.from(await client.missing(artifact.hashes));
  const sent = artifact.frames.filter(({ hash }) => contains(missing, hash));
  await client.putChunks(sent);
  await client.putManifest(artifact.cid, artifact.manifestBytes);
  await client.putStatement(artifact.cid, fleet.statement(artifact.cid, project));
  return { sent: sent.length };
}

/** Whether a list of hashes has this one. */
export function contains(hashes: Uint8Array, hash: Uint8Array): boolean {
  for (let offset = 0; offset < hashes.length; offset += hash.length)
    if (Buffer.from(hashes.subarray(offset, offset + hash.length)).equals(hash)) return true;
  return false;
}

/** The code of the ShoalError that a promise rejects with; fails when it doesn't. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ShoalError) return error.code;
    throw error;
  }
  throw new Error("no error where one was expected");
}

/** Waits until a condition holds; fails after a deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 5000,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error("the condition didn't come true in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
