// The control plane's composition root: database, migrations, keys, HTTP, loops; stopped in reverse.
import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import {
  callsTogetherStatementsMax,
  migrationMsMax,
  trustLookMs,
  trustStateBytesMax,
} from "@shoal/core/limits";
import { type RolloutPolicy, defaultRolloutPolicy } from "@shoal/core/rollout/rollout-policy";
import { processSources } from "@shoal/daemon/config";
import { type DaemonContext, runDaemon } from "@shoal/daemon/daemon";
import { StateFile } from "@shoal/daemon/atomic-file";
import { startLoop } from "@shoal/daemon/loop";
import { startPostgres } from "@shoal/postgres/server";
import { openDirectoryBlobs } from "@shoal/store/directory-blobs";
import { TrustKeeper } from "@shoal/trust/trust-keeper";
import { createApp } from "./app.ts";
import { Authority } from "./authority.ts";
import { type ControlPlaneConfig, readControlPlaneConfig } from "./config.ts";
import { openDatabase } from "./db/connection.ts";
import { migrate } from "./db/migrate.ts";
import { Wakeups, listen, notify } from "./db/wakeups.ts";
import { openRemoteHeads } from "./git/remote-heads.ts";
import { listenHttp } from "./http/listen.ts";
import { startJobs } from "./jobs/start-jobs.ts";
import { adoptDatabase, oneAtATime } from "./operations/adopt-database.ts";
import { BuildSources } from "./operations/build-sources.ts";
import { LogStreams } from "./operations/follow-log.ts";
import { KnownMembers } from "./operations/known-members.ts";
import { KnownTokens } from "./operations/known-tokens.ts";
import { IngestGrants } from "./operations/ingest-grants.ts";
import { HomeSeeder } from "./operations/home-seeder.ts";
import { QueueCalls } from "./operations/queue-calls.ts";
import { QueueDepth } from "./operations/queue-depth.ts";
import { renewRevocations, syncTrust } from "./operations/trust.ts";
import { LoopLeases } from "./operations/loop-leases.ts";
import { postStatus } from "./operations/tell-statuses.ts";
import { watermarkFile } from "./watermark-file.ts";
import { LiveKeys, loadAdminTokenHash } from "./load-authority.ts";

await runDaemon("control-plane", async (context) => {
  const { log, lifecycle } = context;
  const config = readControlPlaneConfig(processSources());
  const now = (): number => Date.now();
  await mkdir(config.stateDir, { recursive: true });
  const file = new StateFile(join(config.stateDir, "trust.json"), trustStateBytesMax);
  // Revocations are ours to make; whose region they are for is not asked here.
  const trust = await TrustKeeper.open({ file, now, region: () => null, log }, config);
  const liveKeys = await LiveKeys.open({ trust: () => trust.document(), log }, config);
  const authority = new Authority({
    keys: () => liveKeys.keys(),
    trust: () => trust.document(),
    now,
  });
  const adminTokenHash = await loadAdminTokenHash(config.adminTokenFile);
  const url = await databaseUrl(config, context);
  const version = await migrateFirst(url);
  const { database, claims } = openPools(url, config.databaseConnectionsMax, context);
  const watermark = watermarkFile(join(config.stateDir, "database-watermark.json"));
  const adopt = oneAtATime(() => adoptDatabase({ database, watermark, log }));
  await adopt();
  const wakeups = new Wakeups((topic) => notify(database, topic));
  const listening = await listen(database, wakeups);
  lifecycle.defer("wakeups", () => listening.stop());
  // Beside a Postgres of our own nobody else reads; otherwise only in a folder that is said to be shared.
  const own = config.databaseUrl === undefined ? join(config.stateDir, "log-store") : null;
  const logDir = config.logDir ?? own;
  const deps = {
    database,
    wakeups,
    authority,
    trust,
    policy: policyOf(config),
    adminTokenHash,
    log,
    adopt,
    tokens: new KnownTokens(database),
    members: new KnownMembers({ database, trust: () => trust.document(), now }),
    logs: logDir === null ? null : await openDirectoryBlobs(logDir),
    grants: new IngestGrants(authority),
    home: new HomeSeeder(database),
    calls: new QueueCalls(database, claims),
    sources: new BuildSources(database),
    streams: new LogStreams(),
    depth: new QueueDepth(database),
  };
  await syncTrust(deps, config.trustFile);
  const listHeads = await openRemoteHeads({
    folder: join(config.stateDir, "git"),
    path: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    home: process.env["HOME"] ?? "/",
  });
  const loops = new LoopLeases(database, randomUUID());
  const jobs = startJobs({ ...deps, loops, listHeads, postStatus });
  lifecycle.defer("jobs", () => jobs.stop());
  const looking = startLoop({
    name: "trust",
    intervalMs: trustLookMs,
    log,
    run: async () => {
      await syncTrust(deps, config.trustFile);
      await liveKeys.refresh();
      await renewRevocations(deps);
    },
  });
  lifecycle.defer("trust", () => looking.stop());
  const server = await listenHttp(createApp(deps), config);
  lifecycle.defer("http", () => server.stop());
  return { url: server.url, databaseVersion: version };
});

function policyOf({ bakeMs, prepareMs, waveMs }: ControlPlaneConfig): RolloutPolicy {
  return { ...defaultRolloutPolicy, bakeMs, prepareMs, waveMs };
}

/** Claims have connections for themselves, where there are enough. */
function openPools(url: string, max: number, { lifecycle }: DaemonContext) {
  const ofClaims = max < 4 * callsTogetherStatementsMax ? 0 : callsTogetherStatementsMax;
  const database = openDatabase(url, max - ofClaims);
  const claims = ofClaims === 0 ? database : openDatabase(url, ofClaims);
  lifecycle.defer("database", async () => {
    await Promise.all([database, claims].map((pool) => pool.end({ timeout: 5 })));
  });
  return { database, claims };
}

/** The database that was configured, or one of our own. */
async function databaseUrl(config: ControlPlaneConfig, context: DaemonContext): Promise<string> {
  if (config.databaseUrl !== undefined) return config.databaseUrl;
  const postgres = await startPostgres({
    dir: join(config.stateDir, "postgres"),
    log: context.log,
  });
  context.lifecycle.defer("postgres", () => postgres.stop());
  // Without its own Postgres this process is of no use: whoever started it starts both again.
  void postgres.exited.then(() => {
    if (!context.signal.aborted) throw new Error("the Postgres of this process has ended");
  });
  return postgres.url;
}

/** Over a connection of its own, whose statements may take long. */
async function migrateFirst(url: string): Promise<number> {
  const database = openDatabase(url, 1, migrationMsMax);
  try {
    return await migrate(database);
  } catch (error) {
    throw explainStart(error);
  } finally {
    await database.end({ timeout: 5 });
  }
}

function explainStart(error: unknown): unknown {
  if (error instanceof ShoalError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ShoalError("database_unusable", `The database can't be used: ${message}`, {
    blame: "environment",
    hint: "Check the database's address and whether it is running.",
    cause: error,
  });
}
