// A standby takes over in the middle of a load: what was answered before stays true, no fence of before
// counts, and the pool finds the server that writes.
import { chown, cp, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type PostgresServer, startPostgres } from "@shoal/postgres/server";
import { projectInput } from "@shoal/api/control-plane";
import postgres from "postgres";
import { expect, test } from "vitest";
import { endAttempt } from "./db/build-queue.ts";
import { type Database, openDatabase } from "./db/connection.ts";
import { fillQueue } from "./db/fill-queue.ts";
import { migrate } from "./db/migrate.ts";
import { insertProject } from "./db/projects.ts";
import { readQueue } from "./db/queue-view.ts";
import { Wakeups } from "./db/wakeups.ts";
import { type WatermarkFile, adoptDatabase, oneAtATime } from "./operations/adopt-database.ts";
import { claimBuild } from "./operations/lease-build.ts";
import { QueueCalls } from "./operations/queue-calls.ts";

const quiet = { info: () => undefined, warn: () => undefined };
const builds = 400;
const builders = 8;

test("goes on without losing or repeating an end when a standby is promoted under load", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shoal-failover-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const primary = await startPostgres({ dir: join(dir, "a"), log: quiet });
  stack.defer(() => primary.stop());
  const standby = await startStandby(dir, primary);
  stack.defer(() => standby.stop());

  const url = primary.url.replace(
    `127.0.0.1:${primary.port}`,
    `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`,
  );
  const database = openDatabase(url, 8);
  stack.defer(() => database.end({ timeout: 1 }));
  const load = await startLoad(database);
  await waitUntil(() => load.ended.size > 50);
  const { incarnation } = await readQueue(database);
  const held = await load.hold();

  process.kill(primary.pid, "SIGKILL");
  await primary.stop();
  const atPromotion = load.ended.size;
  await promote(standby.url);

  await waitUntil(async () => (await countEnded(database)) === builds);
  await load.stop();
  expect(load.ended.size).toBeGreaterThan(atPromotion);
  expect(load.twice).toBe(0);
  // Each builder may have lost one answer to an end that was committed when its server was killed.
  expect(load.ended.size).toBeGreaterThanOrEqual(builds - builders);
  expect((await readQueue(database)).incarnation).not.toBe(incarnation);
  // The lease from before the failover is worth nothing on the server after it.
  const lease = { build: held.build, fence: held.fence, holder: "holder" };
  expect(await endAttempt(database, lease, failed)).toBeNull();
}, 180_000);

const failure = { code: "x", message: "x", blame: "user" } as const;
const failed = { event: "failedByUser", outcome: "failed", failure } as const;

/** How many builds are FAILED; 0 while no server answers. */
async function countEnded(database: Database): Promise<number> {
  const [row] = await database<{ ended: number }[]>`
    select count(*)::int as ended from builds where state = 'FAILED'`.catch(() => []);
  return row?.ended ?? 0;
}

async function startLoad(database: Database) {
  await migrate(database);
  let kept: Awaited<ReturnType<WatermarkFile["read"]>> = null;
  const watermark: WatermarkFile = {
    read: async () => kept,
    write: async (mark) => {
      kept = mark;
    },
  };
  const adopt = oneAtATime(() => adoptDatabase({ database, watermark, log: quiet }));
  await adopt();
  const project = { name: "p", remoteUrl: "/srv/x", buildCommand: "true", artifactPath: "out" };
  await insertProject(database, projectInput.parse(project));
  await fillQueue(database, "p", builds);
  const wakeups = new Wakeups(async () => undefined);
  const deps = { database, wakeups, calls: new QueueCalls(database), adopt };
  const ended = new Map<number, string>();
  const stop = new AbortController();
  const load = { ended, twice: 0, hold: async () => required(await claim("holder")), stop: ends };
  const claim = (builder: string) => claimBuild(deps, { builder, holder: builder, labels: {} });
  const work = async (builder: string): Promise<void> => {
    while (!stop.signal.aborted) {
      const claimed = await claim(builder).catch(() => null);
      if (claimed === null) {
        await sleep(20);
        continue;
      }
      const lease = { build: claimed.build, fence: claimed.fence, holder: builder };
      const state = await endAttempt(database, lease, failed).catch(() => null);
      if (state === null) continue;
      if (ended.has(claimed.build)) load.twice += 1;
      ended.set(claimed.build, claimed.fence);
    }
  };
  const running = Array.from({ length: builders }, (_, index) => work(`b${index}`));
  async function ends(): Promise<void> {
    stop.abort();
    await Promise.all(running);
  }
  return load;
}

function required<Value>(value: Value | null): Value {
  if (value === null) throw new Error("nothing to claim");
  return value;
}

/** A copy of the running primary (low-level backup) that follows it; commits wait for it. */
async function startStandby(dir: string, primary: PostgresServer): Promise<PostgresServer> {
  const admin = openDatabase(primary.url, 1);
  await admin`select pg_backup_start('standby', true)`;
  for (const part of ["data", "password"]) {
    await cp(join(dir, "a", part), join(dir, "b", part), { recursive: true });
  }
  const [stopped] = await admin<{ label: string }[]>`
    select labelfile as label from pg_backup_stop(false)`;
  const data = join(dir, "b", "data");
  await rm(join(data, "postmaster.pid"), { force: true });
  await writeFile(join(data, "backup_label"), stopped?.label ?? "");
  await writeFile(join(data, "standby.signal"), "");
  const { username, password } = new URL(primary.url);
  const source = `host=127.0.0.1 port=${primary.port} user=${username} password=${password} application_name=standby`;
  await writeFile(
    join(data, "postgresql.auto.conf"),
    `primary_conninfo = '${source}'\nwal_retrieve_retry_interval = '200ms'\n`,
  );
  await ownLike(join(dir, "a", "data"), data);
  const standby = await startPostgres({ dir: join(dir, "b"), log: quiet });
  await admin`alter system set synchronous_standby_names = 'standby'`;
  await admin`select pg_reload_conf()`;
  await waitUntil(async () => {
    const rows = await admin`select from pg_stat_replication where sync_state = 'sync'`;
    return rows.length > 0;
  });
  await admin.end({ timeout: 1 });
  return standby;
}

/** Over a connection of its own: the pool takes none to a server that only reads. */
async function promote(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  await sql`select pg_promote()`;
  await sql.end();
}

/** Copies made by root belong to root; the server runs as another user. */
async function ownLike(from: string, to: string): Promise<void> {
  const { uid, gid } = await stat(from);
  if ((await stat(to)).uid !== uid) await chown(to, uid, gid);
  if (!(await stat(from)).isDirectory()) return;
  for (const name of await readdir(to)) {
    const source = await stat(join(from, name)).catch(() => undefined);
    if (source !== undefined) await ownLike(join(from, name), join(to, name));
    else await chown(join(to, name), uid, gid);
  }
}

async function waitUntil(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 100_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("it didn't come about in time");
    await sleep(50);
  }
}
