// For tests: a real Postgres with a database of its own for each test, a control plane on it without
// sockets, and clients of every role. Nothing here stands in for code of ours.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@shoal/api/client";
import type { Watermark } from "@shoal/core/build/incarnation";
import { cidOf } from "@shoal/core/cid";
import { type RolloutPolicy, defaultRolloutPolicy } from "@shoal/core/rollout/rollout-policy";
import { type PostgresServer, startPostgres } from "@shoal/postgres/server";
import { type KeyFile, createKey } from "@shoal/trust/key-file";
import { MemoryBlobs } from "@shoal/store/memory-blobs";
import { signStatement } from "@shoal/trust/statement";
import { type TrustDocument, trustKeyOf } from "@shoal/trust/trust-document";
import { type Enrolled, enroll } from "@shoal/trust/enroll.test-kit";
import { openTestTrust } from "@shoal/trust/keeper.test-kit";
import { type AppDeps, createApp } from "./app.ts";
import { Authority } from "./authority.ts";
import { type Database, openDatabase } from "./db/connection.ts";
import { migrate } from "./db/migrate.ts";
import { Wakeups, listen, notify } from "./db/wakeups.ts";
import type { App } from "./http/serve-route.ts";
import { type WatermarkFile, adoptDatabase, oneAtATime } from "./operations/adopt-database.ts";
import { BuildSources } from "./operations/build-sources.ts";
import { LogStreams } from "./operations/follow-log.ts";
import { KnownMembers } from "./operations/known-members.ts";
import { KnownTokens } from "./operations/known-tokens.ts";
import { IngestGrants } from "./operations/ingest-grants.ts";
import { HomeSeeder } from "./operations/home-seeder.ts";
import { QueueCalls } from "./operations/queue-calls.ts";
import { QueueDepth } from "./operations/queue-depth.ts";
import { hashToken } from "./operations/secrets.ts";

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** One server for a test file, with a migrated database that others are copied from. */
export class TestServer implements AsyncDisposable {
  readonly #dir: string;
  readonly #server: PostgresServer;
  #count = 0;

  private constructor(dir: string, server: PostgresServer) {
    this.#dir = dir;
    this.#server = server;
  }

  static async start(): Promise<TestServer> {
    const dir = await mkdtemp(join(tmpdir(), "shoal-control-plane-"));
    const server = await startPostgres({ dir, log: quiet });
    const started = new TestServer(dir, server);
    const template = await started.#create("template0", "migrated");
    const database = openDatabase(template);
    await migrate(database);
    await database.end();
    return started;
  }

  /** The address of a new, migrated and empty database. */
  database(): Promise<string> {
    this.#count += 1;
    return this.#create("migrated", `test${this.#count}`);
  }

  /** The address of a database without tables. */
  emptyDatabase(): Promise<string> {
    this.#count += 1;
    return this.#create("template0", `test${this.#count}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #create(template: string, name: string): Promise<string> {
    const admin = openDatabase(this.#server.url, 1);
    await admin.unsafe(`create database ${name} template ${template}`);
    await admin.end();
    return this.#server.url.replace(/\/postgres$/, `/${name}`);
  }
}

export interface TestFleet extends AsyncDisposable {
  readonly app: App;
  readonly deps: AppDeps;
  readonly database: Database;
  readonly trust: TrustDocument;
  readonly root: KeyFile;
  readonly builderKey: KeyFile;
  readonly admin: Client;
  readonly clientOf: (token: string | (() => string)) => Client;
  /** The one of this name, which joins when it is asked for first. */
  builder(name?: string): Promise<Client>;
  seeder(region: string, name?: string): Promise<TestSeeder>;
}

export interface TestSeeder {
  readonly client: Client["seeder"];
  readonly peerId: string;
  /** As the same seeder, for other calls. */
  readonly enrolled: Enrolled;
}

/** A control plane on its own database. Loops don't run: tests take the steps themselves. */
export async function startFleet(
  server: TestServer,
  policy: Partial<RolloutPolicy> = {},
): Promise<TestFleet> {
  const database = openDatabase(await server.database(), 8);
  const wakeups = new Wakeups((topic) => notify(database, topic));
  const watermark = memoryWatermark();
  const adopt = oneAtATime(() => adoptDatabase({ database, watermark, log: quiet }));
  await adopt();
  await listen(database, wakeups);
  const key = createKey();
  const builderKey = createKey();
  const keys = { goals: key, passports: key, grants: key };
  const { root, keeper: trust } = await openTestTrust(trustOf(key, builderKey), {
    now: () => Date.now(),
    region: null,
  });
  const authority = new Authority({
    keys: () => keys,
    trust: () => trust.document(),
    now: () => Date.now(),
  });
  const deps: AppDeps = {
    database,
    wakeups,
    authority,
    trust,
    policy: { ...defaultRolloutPolicy, bakeMs: 0, emptyMs: 0, ...policy },
    adminTokenHash: hashToken("admin-token"),
    log: quiet,
    adopt,
    tokens: new KnownTokens(database),
    members: new KnownMembers({ database, trust: () => trust.document(), now: () => Date.now() }),
    logs: new MemoryBlobs(),
    grants: new IngestGrants(authority),
    home: new HomeSeeder(database),
    calls: new QueueCalls(database),
    sources: new BuildSources(database),
    streams: new LogStreams(),
    depth: new QueueDepth(database),
  };
  const app = createApp(deps);
  const clientOf = (token: string | (() => string)): Client =>
    createClient({
      url: "http://control-plane",
      token,
      fetch: async (url, init) => app.request(url, init),
    });
  const admin = clientOf("admin-token");
  return {
    app,
    deps,
    database,
    trust: trust.document(),
    root,
    builderKey,
    admin,
    clientOf,
    builder: buildersOf(admin, clientOf),
    seeder: (region, name = `seeder-${region}`) => addSeeder(admin, clientOf, region, name),
    [Symbol.asyncDispose]: () => database.end({ timeout: 1 }),
  };
}

function memoryWatermark(): WatermarkFile {
  let kept: Watermark | null = null;
  return {
    read: async () => kept,
    write: async (mark) => {
      kept = mark;
    },
  };
}

/** Each name joins once. */
function buildersOf(
  admin: Client,
  clientOf: TestFleet["clientOf"],
): (name?: string) => Promise<Client> {
  const known = new Map<string, Promise<Client>>();
  const join = async (name: string): Promise<Client> => {
    const region = (await admin.regions.list()).items[0]?.name ?? "";
    return (await enroll(admin, clientOf, { role: "builder", name, region })).client;
  };
  return (name = "b1") => {
    const builder = known.get(name) ?? join(name);
    known.set(name, builder);
    return builder;
  };
}

async function addSeeder(
  admin: Client,
  clientOf: (token: () => string) => Client,
  region: string,
  name: string,
): Promise<TestSeeder> {
  const enrolled = await enroll(admin, clientOf, { role: "seeder", name, region });
  const client = enrolled.client.seeder;
  await client.register({
    url: `https://127.0.0.1:1/${name}`,
    swarmAddresses: [],
    goalEpochMax: 0,
  });
  return { client, peerId: enrolled.key.peerId, enrolled };
}

/** A CID that no other text has. */
export function cidFor(text: string): string {
  return cidOf(new TextEncoder().encode(text));
}

export function commitFor(text: string): string {
  return Buffer.from(text).toString("hex").padEnd(40, "0").slice(0, 40);
}

/** What a builder publishes, signed with the fleet's builder key. */
export function publicationOf(
  fleet: TestFleet,
  lease: {
    readonly build: number;
    readonly attempt: number;
    readonly commit: string;
    readonly fence: string;
  },
  artifact: string,
) {
  const statement = signStatement(fleet.builderKey, {
    project: "greeter",
    commit: lease.commit,
    artifact,
    remoteUrl: "/srv/greeter",
    buildCommand: "make",
    artifactPath: "out",
    builder: "b1",
    build: lease.build,
    attempt: lease.attempt,
    startedAtMs: 0,
    finishedAtMs: 1,
  });
  return { fence: lease.fence, artifact, artifactBytes: 1000, bytesUploaded: 900, statement };
}

function trustOf(key: KeyFile, builderKey: KeyFile): TrustDocument {
  const until = new Date(Date.now() + 86_400_000).toISOString();
  return {
    format: "shoal.trust/v1",
    version: 1,
    issuedAt: new Date().toISOString(),
    expires: until,
    keys: [trustKeyOf(key.publicKey, until), trustKeyOf(builderKey.publicKey, until)],
    statements: [{ key: builderKey.keyId, projects: "*" }],
    goals: [{ key: key.keyId, environments: "*" }],
    passports: [{ key: key.keyId, regions: "*" }],
    grants: [{ key: key.keyId, regions: "*" }],
  };
}
