// `bench transfer`: one host agent fetches an artifact of random bytes from one seeder, over real sockets
// on loopback, from disk to disk, verified. Everything runs and is idle before the clock starts. Time is
// the agent's own, from the first wish for the artifact until it is verified on disk; CPU is user and
// system time of both processes from the deploy until the agent says so.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FetchStatus } from "@shoal/api/seeder";
import { gibibyte } from "@shoal/core/units";
import type { Command } from "commander";
import { median, rounded, type Measured } from "../result.ts";
import { cpuSeconds, findProcess, whenIdle } from "./cpu.ts";
import { type BenchFleet, startBenchFleet } from "./fleet.ts";

type Finish = (name: string, measured: Measured, json: boolean) => void;

interface TransferOptions {
  readonly mib: number;
  readonly runs: number;
  readonly json?: boolean;
}

const pollMs = 200;
const buildMsMax = 600_000;
const fetchMsMax = 600_000;

export function addTransferBench(program: Command, finish: Finish): void {
  program
    .command("transfer")
    .description("One agent fetches from one seeder over loopback")
    .option("--mib <number>", "size of the artifact", Number, 512)
    .option("--runs <number>", "artifacts, one after the other", Number, 3)
    .option("--json", "print the JSON line alone")
    .action(async (options: TransferOptions) => {
      finish("transfer", await measureTransfers(options), options.json === true);
    });
}

async function measureTransfers({ mib, runs: runCount }: TransferOptions): Promise<Measured> {
  const parent = await mkdtemp(join(tmpdir(), "shoal-transfer-"));
  await chmod(parent, 0o711);
  try {
    process.stderr.write("starting the fleet\n");
    const fleet = await startBenchFleet(parent);
    try {
      const agent = await findProcess("host-agent/src/main.ts", join(fleet.dir, "host-1.json"));
      const configFile = join(fleet.dir, "seeder-eu-central.json");
      const seeder = await findProcess("seeder/src/main.ts", configFile);
      const runs: Run[] = [];
      for (let run = 0; run < runCount; run += 1) {
        process.stderr.write(`run ${run + 1} of ${runCount}\n`);
        runs.push(await measureOnce(fleet, mib, { agent, seeder }));
      }
      return { settings: { mib, runs: runCount }, runs: [...runs], figures: figuresOf(runs) };
    } finally {
      await fleet.stop();
    }
  } finally {
    await rm(parent, { recursive: true, force: true, maxRetries: 5 });
  }
}

type Run = Readonly<Record<"bytes" | "seconds" | "agentCpuSeconds" | "seederCpuSeconds", number>>;

async function measureOnce(
  fleet: BenchFleet,
  mib: number,
  pids: { readonly agent: number; readonly seeder: number },
): Promise<Run> {
  const { client, service } = fleet;
  const build = await buildArtifact(fleet, mib);
  await whenIdle([pids.agent, pids.seeder]);
  const agentBefore = await cpuSeconds(pids.agent);
  const seederBefore = await cpuSeconds(pids.seeder);
  const rollout = await client.services.deploy("production", service, { build: build.id });
  const fetch = await whenFetched(fleet, build.artifact);
  const agentCpuSeconds = (await cpuSeconds(pids.agent)) - agentBefore;
  const seederCpuSeconds = (await cpuSeconds(pids.seeder)) - seederBefore;
  const bytes = fetch.bytesFromSeeders;
  if (bytes !== fetch.bytes) throw new Error(`${bytes} of ${fetch.bytes} bytes came by wire`);
  await whenRolledOut(fleet, rollout.id);
  const seconds = (fetch.durationMs ?? Number.NaN) / 1000;
  return { bytes, seconds, agentCpuSeconds, seederCpuSeconds };
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

function whenFetched({ client }: BenchFleet, artifact: string): Promise<FetchStatus> {
  return waitFor("the fetch", fetchMsMax, async () => {
    const hosts = await client.hosts.list({ limit: 1 });
    const fetches = hosts.items[0]?.fetches ?? [];
    return fetches.find((each) => each.artifact === artifact && each.durationMs !== null);
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

function figuresOf(runs: readonly Run[]): Record<string, number> {
  const of = (figure: (run: Run, gib: number) => number): number =>
    rounded(median(runs.map((run) => figure(run, run.bytes / gibibyte))));
  return {
    transferGiBPerSecond: of((run, gib) => gib / run.seconds),
    agentCpuSecondsPerGiB: of((run, gib) => run.agentCpuSeconds / gib),
    seederCpuSecondsPerGiB: of((run, gib) => run.seederCpuSeconds / gib),
    cpuSecondsPerGiB: of((run, gib) => (run.agentCpuSeconds + run.seederCpuSeconds) / gib),
  };
}
