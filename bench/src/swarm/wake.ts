// `bench wake`: from `shoal deploy`, the command, to the first chunk that each host asks for. Real processes
// on one machine, all of them waiting as they do between deploys; times are those of the hosts' own event
// files. What comes after the first request is for other benches.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { adminToken } from "../queue/control-planes.ts";
import { type Finish, median, rounded, type Measured } from "../result.ts";
import { onLoopback, service, type BuiltArtifact, SwarmFleet } from "./swarm-fleet.ts";
import { SwarmWatch } from "./swarm-watch.ts";

interface WakeOptions {
  readonly hosts: number;
  readonly runs: number;
  readonly mib: number;
  readonly json?: boolean;
}

const requestMsMax = 60_000;
const shoal = fileURLToPath(new URL("../../../cli/src/main.ts", import.meta.url));

export function addWakeBench(program: Command, finish: Finish): void {
  program
    .command("wake")
    .description("From `shoal deploy` to the first chunk that the last host asks for")
    .option("--hosts <number>", "agents, each a process", Number, 12)
    .option("--runs <number>", "deploys, one after the other", Number, 5)
    .option("--mib <number>", "size of each artifact", Number, 8)
    .option("--json", "print the JSON line alone")
    .action(async (options: WakeOptions) => {
      const measured = await measureWake(options);
      finish("wake", measured, options.json === true);
      if (measured.figures["hostsMissing"] !== 0) process.exitCode = 3;
    });
}

interface WakeRun {
  readonly commandMs: number;
  /** Since the command was started. */
  readonly deployedMs: number;
  readonly joinedMs: readonly number[];
  readonly requestedMs: readonly number[];
  readonly hostsMissing: number;
}

async function measureWake({ hosts, runs, mib }: WakeOptions): Promise<Measured> {
  const progress = (text: string): unknown => process.stderr.write(`${text}\n`);
  await using fleet = await SwarmFleet.start({ place: onLoopback, progress });
  await fleet.startHosts(hosts);
  const taken: WakeRun[] = [];
  for (let run = 0; run < runs; run += 1) {
    const artifact = await fleet.build(mib);
    // What the build has woken is over: hosts wait for goals, and nothing else runs.
    await sleep(2000);
    const one = await measureOne(fleet, artifact);
    taken.push(one);
    progress(
      `the last of ${one.requestedMs.length} hosts asked after ${one.requestedMs.at(-1)} ms`,
    );
    await fleet.rolloutEnded();
  }
  const last = taken.map(({ requestedMs }) => requestedMs.at(-1) ?? Number.NaN);
  const fromCall = taken.map((one, index) => (last[index] ?? Number.NaN) - one.deployedMs);
  const seconds = (
    values: readonly number[],
    pick: (values: readonly number[]) => number,
  ): number => rounded(pick(values) / 1000);
  const most = (values: readonly number[]): number => Math.max(...values);
  return {
    settings: { hosts, runs, mib },
    runs: taken.map((one) => ({ ...one })),
    figures: {
      lastHostFirstRequestSeconds: seconds(last, median),
      lastHostFirstRequestSecondsMax: seconds(last, most),
      fromDeployedSeconds: seconds(fromCall, median),
      commandSeconds: seconds(
        taken.map(({ commandMs }) => commandMs),
        median,
      ),
      hostsMissing: taken.reduce((sum, { hostsMissing }) => sum + hostsMissing, 0),
    },
  };
}

async function measureOne(fleet: SwarmFleet, { build, artifact }: BuiltArtifact): Promise<WakeRun> {
  const watch = new SwarmWatch(fleet.hosts, artifact);
  const startedAt = Date.now();
  const command = runShoal(fleet.url, ["deploy", service, String(build)]);
  await watch.until(
    () => watch.hosts.every(({ requestedAt }) => requestedAt !== undefined),
    requestMsMax,
  );
  const commandMs = (await command) - startedAt;
  const [rollout] = (await fleet.client.rollouts.list({ limit: 1 })).items;
  const since = (times: readonly (number | undefined)[]): readonly number[] =>
    times.flatMap((at) => (at === undefined ? [] : [at - startedAt])).toSorted((a, b) => a - b);
  const requestedMs = since(watch.hosts.map(({ requestedAt }) => requestedAt));
  return {
    commandMs,
    deployedMs: Date.parse(rollout?.createdAt ?? "") - startedAt,
    joinedMs: since(watch.hosts.map(({ joinedAt }) => joinedAt)),
    requestedMs,
    hostsMissing: watch.hosts.length - requestedMs.length,
  };
}

/** Answers when the command ended; rejects when it failed. */
async function runShoal(url: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [shoal, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
    // Its cache of compiled modules is in the home, as a person has it.
    env: { SHOAL_URL: url, SHOAL_ADMIN_TOKEN: adminToken, HOME: homedir() },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`shoal ${args.join(" ")} ended with ${code}`);
  return Date.now();
}
