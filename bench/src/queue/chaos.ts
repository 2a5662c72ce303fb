// Faults, one after the other, while builders work: what was answered has to be true in the end.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "@shoal/api/client";
import { type PostgresServer, startPostgres } from "@shoal/postgres/server";
import { type Measured, rounded } from "../result.ts";
import {
  type BenchKeys,
  type ControlPlaneProcess,
  adminToken,
  makeKeys,
  startControlPlane,
} from "./control-planes.ts";
import { createDatabase, exhaustConnections, killBackends } from "./database.ts";
import { HttpBuilder } from "./http-builders.ts";
import { enrollBuilder, prepareFleet, queueBuilds } from "./http-rate.ts";
import { Ledger } from "./ledger.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { type QueueOptions, quiet } from "./options.ts";

interface World {
  readonly dir: string;
  readonly keys: BenchKeys;
  readonly ledger: Ledger;
  readonly builders: HttpBuilder[];
  readonly planes: ControlPlaneProcess[];
  postgres: PostgresServer;
  readonly proxy: Proxy;
  /** Through the proxy. */
  readonly databaseUrl: string;
}

export async function measureChaos(dir: string, options: QueueOptions): Promise<Measured> {
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: quiet });
  const proxy = await startProxy(postgres.port);
  const direct = await createDatabase(postgres.url, "chaos");
  const databaseUrl = direct.replace(`:${postgres.port}/`, `:${proxy.port}/`);
  const keys = await makeKeys(join(dir, "keys"));
  const world: World = {
    dir,
    keys,
    ledger: new Ledger(),
    builders: [],
    planes: [],
    postgres,
    proxy,
    databaseUrl,
  };
  const stop = new AbortController();
  try {
    for (const index of [0, 1]) {
      world.planes.push(await startControlPlane(join(dir, `plane${index}`), keys, databaseUrl, 0));
    }
    const first = world.planes[0];
    if (first === undefined) throw new Error("no control plane");
    await prepareFleet(first.admin, first.url);
    process.stderr.write(`queueing ${options.builds} builds\n`);
    await queueBuilds(first.admin, 0, options.builds);
    const running = await startBuilders(world, options, stop.signal);
    const runs = await runFaults(world, options);
    await drain(world, options, 180_000);
    stop.abort();
    await Promise.all(running);
    const audit = await auditBuilds(world, options);
    return {
      settings: { ...options },
      runs,
      figures: {
        ...audit,
        endedTwice: world.ledger.endedTwice(),
        staleTried: world.ledger.staleTried,
        staleAccepted: world.ledger.staleTried - world.ledger.staleRefused,
        failedCalls: world.ledger.failedCalls,
        recoverySecondsMax: rounded(Math.max(...runs.map((run) => run.recoverySeconds))),
        faults: runs.length,
      },
    };
  } finally {
    stop.abort();
    await Promise.all(world.planes.map((plane) => plane.kill()));
    await proxy.stop();
    await world.postgres.stop();
  }
}

async function startBuilders(
  world: World,
  options: QueueOptions,
  signal: AbortSignal,
): Promise<Promise<void>[]> {
  const admin = adminOf(world);
  const running: Promise<void>[] = [];
  for (let index = 0; index < options.builders; index += 1) {
    const name = `builder-${index}`;
    const token = await enrollBuilder(admin, world.planes[0]?.url ?? "", name);
    const urls = (): readonly string[] => world.planes.map((plane) => plane.url);
    const { ledger, keys } = world;
    const builder = new HttpBuilder({ name, token, urls, key: keys.builder, ledger, signal });
    world.builders.push(builder);
    running.push(builder.run());
  }
  return running;
}

type Fault = readonly [name: string, act: (world: World) => Promise<unknown>];

const faults: readonly Fault[] = [
  ["killBuilders", async (world) => world.builders.slice(0, 12).map((builder) => builder.die())],
  ["killControlPlane", (world) => replacePlane(world, 0)],
  ["restartPostgres", (world) => restartPostgres(world, false)],
  ["killBackends", (world) => killBackends(world.postgres.url)],
  ["crashPostgres", (world) => restartPostgres(world, true)],
  ["killControlPlaneAndBuilders", killPlaneAndBuilders],
  ["exhaustPool", (world) => exhaustConnections(world.postgres.url, 5000)],
  ["halfOpenConnections", async (world) => world.proxy.forget()],
  [
    "killBothControlPlanes",
    async (world) => {
      await Promise.all([replacePlane(world, 0), replacePlane(world, 1)]);
    },
  ],
];

const noFault: Fault = ["nothing", async () => undefined];

interface FaultRun extends Readonly<Record<string, unknown>> {
  readonly fault: string;
  readonly recoverySeconds: number;
}

/** Faults are spread over the builds; each is followed by a wait until the rate is back. */
async function runFaults(world: World, options: QueueOptions): Promise<FaultRun[]> {
  await sleep(5000);
  const usual = world.ledger.rateOver(4000);
  const runs: FaultRun[] = [];
  // Again and again: at least every fault once, as long as there is work.
  for (let index = 0; world.ledger.ended < options.builds * 0.92; index += 1) {
    const [fault, act] = faults[index % faults.length] ?? faults[0] ?? noFault;
    process.stderr.write(`${fault} after ${world.ledger.ended} builds\n`);
    await act(world);
    const startMs = performance.now();
    await sleep(1000);
    while (
      world.ledger.rateOver(1000) < usual * 0.7 &&
      world.ledger.ended < options.builds * 0.98 &&
      performance.now() - startMs < 60_000
    ) {
      await sleep(100);
    }
    // Without work left there is no rate to come back: that says nothing about the fault.
    if (world.ledger.ended >= options.builds * 0.98) break;
    const recoverySeconds = (performance.now() - startMs) / 1000;
    process.stderr.write(`  rate back after ${recoverySeconds.toFixed(1)} s\n`);
    runs.push({ fault, recoverySeconds, usualPerSecond: usual, endedBefore: world.ledger.ended });
    await sleep(1500);
  }
  return runs;
}

async function replacePlane(world: World, index: number): Promise<void> {
  const plane = world.planes[index];
  if (plane === undefined) return;
  await plane.kill();
  const port = Number(new URL(plane.url).port);
  world.planes[index] = await startControlPlane(
    join(world.dir, `plane${index}`),
    world.keys,
    world.databaseUrl,
    port,
  );
}

async function killPlaneAndBuilders(world: World): Promise<void> {
  for (const builder of world.builders.slice(10, 30)) builder.die();
  await replacePlane(world, 1);
}

async function restartPostgres(world: World, crash: boolean): Promise<void> {
  const { port, pid } = world.postgres;
  if (crash) process.kill(pid, "SIGKILL");
  await world.postgres.stop();
  world.postgres = await startPostgres({ dir: join(world.dir, "postgres"), port, log: quiet });
}

async function drain(world: World, options: QueueOptions, maxMs: number): Promise<void> {
  const endMs = performance.now() + maxMs;
  while (world.ledger.ended < options.builds && performance.now() < endMs) await sleep(200);
  // An end whose answer came twice needs a moment to show.
  await sleep(500);
}

function adminOf(world: World): Client {
  return createClient({ url: world.planes[0]?.url ?? "", token: adminToken });
}

/** Compares what builders were told with what the database says. */
async function auditBuilds(
  world: World,
  options: QueueOptions,
): Promise<{ readonly builds: number; readonly lost: number; readonly unended: number }> {
  const admin = adminOf(world);
  const told = new Set(world.ledger.builds());
  let builds = 0;
  let lost = 0;
  let unended = 0;
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Client["builds"]["list"]>> = await admin.builds.list({
      limit: 200,
      ...(cursor === null ? {} : { cursor }),
    });
    for (const build of page.items) {
      builds += 1;
      const ended = build.state === "REPLICATING" || build.state === "SUCCEEDED";
      if (!ended) unended += 1;
      if (!ended && told.has(build.id)) lost += 1;
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  // A build that was asked for and isn't there any more is lost as well.
  return { builds, lost: lost + Math.max(0, options.builds - builds), unended };
}
