// Starts the demo's processes, each as an operating-system process of its own with a configuration
// file in its own folder, and stops them in the opposite order.
import { createClient, type Client } from "@shoal/api/client";
import { startPostgres } from "@shoal/postgres/server";
import { ChildDaemon, type ReadyLine } from "@shoal/daemon/child-daemon";
import { createLog } from "@shoal/daemon/log";
import type { Room } from "@shoal/daemon/room-main";
import { hourMs, secondMs } from "@shoal/core/units";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFleetKeys, type FleetKeys } from "../fleet-keys.ts";
import type { Progress } from "./progress.ts";
import { racks } from "./services-plan.ts";
import { reachableNode } from "./reachable-node.ts";

export interface FleetOptions {
  readonly dir: string;
  readonly hosts: number;
  readonly regions: number;
  readonly sandbox: "bubblewrap" | "none";
  readonly searchPath: string;
  /** Whether chunks go unencrypted. */
  readonly plain: boolean;
}

export interface Fleet {
  readonly dir: string;
  readonly client: Client;
  readonly url: string;
  readonly tokenFile: string;
  /** One line for each process that a person may want to talk to. */
  readonly addresses: readonly string[];
  stop(): Promise<void>;
}

const readyMsMax = 60 * secondMs;
const stopGraceMs = 15 * secondMs;
/** Node processes that start at once: more would only wait for the same cores. */
const startsAtOnce = 4;

/** Starts everything; when one process doesn't start, those that did are stopped and the error is thrown. */
export async function startFleet(
  options: FleetOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Fleet> {
  await using starting = new AsyncDisposableStack();
  const stage = progress.stage("start processes");
  const keys = await makeFleetKeys(join(options.dir, "keys"));
  const context: FleetContext = {
    options,
    keys,
    signal,
    nodePath: await reachableNode(options.dir),
    stack: starting,
  };
  const postgresDir = await processDir(options.dir, "postgres");
  const postgres = await startPostgres({ dir: postgresDir, log: createLog("postgres", "warn") });
  starting.defer(() => postgres.stop());
  stage.update(0.1, "Postgres is there");
  const adminToken = randomBytes(32).toString("base64url");
  const tokenFile = join(options.dir, "admin-token");
  await writeFile(tokenFile, `${adminToken}\n`, { mode: 0o600 });
  const controlPlane = await startControlPlane(context, postgres.url, tokenFile);
  const url = String(controlPlane["url"]);
  const client = createClient({ url, token: adminToken });
  stage.update(0.3, "the control plane is there");
  const regions = regionNames(options.regions);
  for (const name of regions)
    await client.regions.create({ name, home: name === regions[0], inService: true });
  const seeders = await Promise.all(
    regions.map((region) => startSeeder(context, url, client, region)),
  );
  await startBuilder(context, url, client, regions[0] ?? "");
  stage.update(0.5, `${seeders.length} seeders and a builder are there`);
  await startHosts(context, client, seeders, (share) =>
    stage.update(0.5 + share / 2, `host agents join`),
  );
  stage.done(
    `Postgres, control plane, builder, ${regions.length} seeders, ${options.hosts} host agents`,
  );
  const stack = starting.move();
  return {
    dir: options.dir,
    client,
    url,
    tokenFile,
    addresses: [
      `control plane: ${url}`,
      ...seeders.map((seeder) => `seeder of ${seeder.region}: ${seeder.url}`),
      `Postgres: ${postgres.url}`,
    ],
    stop: () => stack.disposeAsync(),
  };
}

interface FleetContext {
  readonly options: FleetOptions;
  readonly keys: FleetKeys;
  readonly signal: AbortSignal;
  readonly nodePath: string;
  readonly stack: AsyncDisposableStack;
}

interface StartedSeeder {
  readonly region: string;
  readonly url: string;
  readonly peerId: string;
}

async function startControlPlane(
  context: FleetContext,
  databaseUrl: string,
  adminTokenFile: string,
): Promise<ReadyLine> {
  return start(context, "control-plane", "control-plane", (dir) => ({
    stateDir: dir,
    databaseUrl,
    adminTokenFile,
    port: 0,
    keyFile: context.keys.controlPlaneKeyFile,
    trustFile: context.keys.trustFile,
    rootPublicKey: context.keys.rootPublicKey,
  }));
}

async function startSeeder(
  context: FleetContext,
  controlPlaneUrl: string,
  client: Client,
  region: string,
): Promise<StartedSeeder> {
  const name = `seeder-${region}`;
  const joinToken = await makeJoinToken(client, "seeder", region, 1);
  const ready = await start(context, name, "seeder", (dir) => ({
    name,
    stateDir: dir,
    controlPlaneUrl,
    joinToken,
    port: 0,
    bulkEncrypted: !context.options.plain,
    trustFile: context.keys.trustFile,
    rootPublicKey: context.keys.rootPublicKey,
  }));
  return { region, url: String(ready["url"]), peerId: String(ready["peerId"]) };
}

async function startBuilder(
  context: FleetContext,
  controlPlaneUrl: string,
  client: Client,
  region: string,
): Promise<ReadyLine> {
  const joinToken = await makeJoinToken(client, "builder", region, 1);
  return start(context, "builder-1", "builder", (dir) => ({
    name: "builder-1",
    workDir: dir,
    controlPlaneUrl,
    joinToken,
    keyFile: context.keys.builderKeyFile,
    sandbox: context.options.sandbox,
  }));
}

async function startHosts(
  context: FleetContext,
  client: Client,
  seeders: readonly StartedSeeder[],
  onStarted: (share: number) => void,
): Promise<void> {
  const joinTokens = new Map<string, string>();
  for (const { region } of seeders) {
    joinTokens.set(region, await makeJoinToken(client, "host", region, context.options.hosts));
  }
  const waiting = Array.from({ length: context.options.hosts }, (_unused, index) => index);
  let started = 0;
  const startNext = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      const seeder = seeders[index % seeders.length];
      if (seeder === undefined) return;
      const labels = { rack: `r${index % racks}` };
      const joinToken = joinTokens.get(seeder.region) ?? "";
      await startHost(context, seeder, joinToken, `host-${index + 1}`, labels);
      started += 1;
      onStarted(started / context.options.hosts);
    }
  };
  await Promise.all(Array.from({ length: startsAtOnce }, startNext));
}

async function makeJoinToken(
  client: Client,
  role: "host" | "builder" | "seeder",
  region: string,
  usesMax: number,
): Promise<string> {
  return (await client.joinTokens.create({ role, region, usesMax, ttlMs: hourMs })).token;
}

async function startHost(
  context: FleetContext,
  seeder: StartedSeeder,
  joinToken: string,
  hostId: string,
  labels: Readonly<Record<string, string>>,
): Promise<ReadyLine> {
  return start(context, hostId, "host-agent", (dir) => ({
    hostId,
    region: seeder.region,
    seeders: [{ url: seeder.url, peerId: seeder.peerId }],
    stateDir: dir,
    joinToken,
    labels,
    trustFile: context.keys.trustFile,
    rootPublicKey: context.keys.rootPublicKey,
    nodePath: context.nodePath,
    bulkEncrypted: !context.options.plain,
    stopProgramsOnExit: true,
  }));
}

async function start(
  context: FleetContext,
  name: string,
  room: Room,
  configure: (dir: string) => Readonly<Record<string, unknown>>,
): Promise<ReadyLine> {
  context.signal.throwIfAborted();
  const child = new ChildDaemon({
    name,
    room,
    dir: context.options.dir,
    config: configure(await processDir(context.options.dir, name)),
    searchPath: context.options.searchPath,
    readyMsMax,
  });
  const ready = await child.start();
  context.stack.defer(async () => void (await child.stop(stopGraceMs)));
  return ready;
}

async function processDir(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
  return path;
}

function regionNames(count: number): readonly string[] {
  const names = [
    "eu-central",
    "us-east",
    "ap-south",
    "sa-east",
    "af-south",
    "us-west",
    "eu-north",
    "ap-north",
    "me-west",
    "au-east",
  ];
  return names.slice(0, count);
}
