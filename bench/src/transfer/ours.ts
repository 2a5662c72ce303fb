// Our side of a comparison: one seeder and so many host agents, each a process, and what an artifact's way
// to all of them takes. Wall is from the deploy until the last host has said that it holds the artifact,
// verified and synced; CPU is user and system time of the seeder and all agents meanwhile.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FetchStatus } from "@shoal/api/seeder";
import { cpuSeconds, findProcess, whenIdle } from "./cpu.ts";
import { type BenchFleet, randomBytes, startBenchFleet } from "./fleet.ts";

const pollMs = 50;
const buildMsMax = 600_000;
const fetchMsMax = 900_000;

export interface OurRun {
  /** Over all hosts. */
  readonly bytes: number;
  readonly seconds: number;
  /** By the agents' own clocks, the slowest: from the wish for the artifact until it is whole. */
  readonly fetchSeconds: number;
  readonly agentCpuSeconds: number;
  readonly seederCpuSeconds: number;
  readonly bytesFromPeers: number;
  readonly bytesFromSeeders: number;
}

export interface OurFleet {
  readonly fleet: BenchFleet;
  readonly agents: readonly number[];
  readonly seeder: number;
}

export async function startOurs(
  parent: string,
  options: { readonly hosts: number; readonly plain: boolean },
): Promise<OurFleet> {
  const fleet = await startBenchFleet(parent, { ...randomBytes, ...options });
  try {
    const names = (await readdir(fleet.dir)).filter((name) => /^host-\d+\.json$/.test(name));
    const agents = await Promise.all(
      names.map((name) => findProcess("host-agent/src/main.ts", join(fleet.dir, name))),
    );
    const configFile = join(fleet.dir, "seeder-eu-central.json");
    return { fleet, agents, seeder: await findProcess("seeder/src/main.ts", configFile) };
  } catch (error) {
    await fleet.stop();
    throw error;
  }
}

/** A new artifact of random bytes goes to all hosts. */
export async function measureOurs(ours: OurFleet, mib: number): Promise<OurRun> {
  const { fleet, agents, seeder } = ours;
  const { client, service } = fleet;
  const build = await buildArtifact(fleet, mib);
  await whenIdle([...agents, seeder]);
  const agentsBefore = await sumOfCpu(agents);
  const seederBefore = await cpuSeconds(seeder);
  const startMs = performance.now();
  const rollout = await client.services.deploy("production", service, { build: build.id });
  const fetches = await whenFetched(fleet, build.artifact, agents.length);
  const seconds = (performance.now() - startMs) / 1000;
  const agentCpuSeconds = (await sumOfCpu(agents)) - agentsBefore;
  const seederCpuSeconds = (await cpuSeconds(seeder)) - seederBefore;
  const sum = (key: "bytes" | "bytesFromPeers" | "bytesFromSeeders"): number =>
    fetches.reduce((total, each) => total + each[key], 0);
  const bytes = sum("bytes");
  const [bytesFromPeers, bytesFromSeeders] = [sum("bytesFromPeers"), sum("bytesFromSeeders")];
  if (bytes !== bytesFromPeers + bytesFromSeeders) throw new Error("not all bytes came by wire");
  await whenRolledOut(fleet, rollout.id);
  const fetchSeconds = Math.max(...fetches.map(({ durationMs }) => durationMs ?? 0)) / 1000;
  const cpu = { agentCpuSeconds, seederCpuSeconds };
  return { bytes, seconds, fetchSeconds, ...cpu, bytesFromPeers, bytesFromSeeders };
}

/** Largest resident memory of a process so far, in MiB (proc_pid_status(5)). */
export function rssPeakMiB(pid: number): Promise<number> {
  return statusMiB(pid, /^VmHWM:\s+(\d+) kB$/m);
}

/** Resident memory of a process now, in MiB. */
export function rssMiB(pid: number): Promise<number> {
  return statusMiB(pid, /^VmRSS:\s+(\d+) kB$/m);
}

async function statusMiB(pid: number, line: RegExp): Promise<number> {
  return Number(line.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

async function sumOfCpu(pids: readonly number[]): Promise<number> {
  const all = await Promise.all(pids.map(cpuSeconds));
  return all.reduce((sum, each) => sum + each, 0);
}

async function buildArtifact(
  fleet: BenchFleet,
  mib: number,
): Promise<{ readonly id: number; readonly artifact: string }> {
  const { client, service } = fleet;
  const commit = fleet.commitSize(mib);
  const { id } = await client.builds.start({ project: service, commit, priority: 0 });
  return waitFor(`build ${id}`, buildMsMax, async () => {
    const { state, artifact, failure } = await client.builds.get(id);
    if (failure !== null) throw new Error(`build ${id}: ${failure.message}`);
    return state === "SUCCEEDED" && artifact !== null ? { id, artifact } : undefined;
  });
}

export function whenFetched(
  { client }: Pick<BenchFleet, "client">,
  artifact: string,
  hostsCount: number,
): Promise<readonly FetchStatus[]> {
  return waitFor("the fetch", fetchMsMax, async () => {
    const hosts = await client.hosts.list({ limit: hostsCount });
    const done = hosts.items
      .flatMap(({ fetches }) => fetches)
      .filter((each) => each.artifact === artifact && each.durationMs !== null);
    return done.length === hostsCount ? done : undefined;
  });
}

async function whenRolledOut({ client }: BenchFleet, id: number): Promise<void> {
  await waitFor(`rollout ${id}`, fetchMsMax, async () => {
    const { endedAt } = await client.rollouts.get(id);
    return endedAt ?? undefined;
  });
}

async function waitFor<Value>(
  what: string,
  timeoutMs: number,
  look: () => Promise<Value | undefined>,
): Promise<Value> {
  const startMs = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() - startMs > timeoutMs) throw new Error(`${what} takes too long`);
    await sleep(pollMs);
  }
}
