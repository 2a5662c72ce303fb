// `bench lan`: real agents and a seeder, each on a machine of its own with a link of some rate each way,
// fetch one artifact. The bound is counted with what one TCP flow gets through, measured in the same
// run. `--with libtorrent` sends as many bytes over the same machines with that.
import type { Command } from "commander";
import { type Finish, median, rounded, type Measured } from "../result.ts";
import { SwarmFleet } from "../swarm/swarm-fleet.ts";
import { runLibtorrent, whyNoLibtorrent } from "./libtorrent.ts";
import { Lan, whyNoLan } from "./network.ts";
import { measureOneFlow } from "./one-flow.ts";
import { boundMs, type Spread, spreadOut } from "./spread.ts";

interface LanOptions {
  readonly hosts: number;
  readonly mbit: number;
  readonly mib: number;
  readonly runs: number;
  readonly with?: string;
  readonly json?: boolean;
}

/** While the builder sends an artifact to the seeder, nothing is measured. */
const unmeasuredMbit = 1000;
const finishMsMax = 300_000;

export function addLanBench(program: Command, finish: Finish): void {
  program
    .command("lan")
    .description("Real agents in network namespaces with limited rates")
    .option("--hosts <number>", "machines with an agent", Number, 12)
    .option("--mbit <number>", "rate of each machine, up and down", Number, 100)
    .option("--mib <number>", "size of the artifact", Number, 128)
    .option("--runs <number>", "artifacts, one after the other", Number, 3)
    .option("--with <tool>", "also with another tool: libtorrent")
    .option("--json", "print the JSON line alone")
    .action(async (options: LanOptions) => {
      const missing = whyNoLan() ?? (options.with === undefined ? null : whyNoTool(options.with));
      if (missing !== null) {
        process.stderr.write(`${missing}\n`);
        process.exitCode = 2;
        return;
      }
      finish("lan", await measureLan(options), options.json === true);
    });
}

export function machinesOf(hosts: number): readonly string[] {
  return ["seeder", ...Array.from({ length: hosts }, (_unused, index) => `host-${index + 1}`)];
}

export function setRates(lan: Lan, machines: readonly string[], mbit: number): void {
  for (const machine of machines) lan.setRate(machine, mbit);
}

async function measureLan(options: LanOptions): Promise<Measured> {
  const { hosts, mbit, mib, runs: runCount } = options;
  const machines = machinesOf(hosts);
  using lan = new Lan(machines);
  setRates(lan, machines, mbit);
  const flowMbit = await measureOneFlow(lan.place("seeder"), lan.place("host-1"));
  progress(`one flow: ${rounded(flowMbit)} Mbit/s`);
  const runs = await runShoal(lan, machines, options);
  const { bytes, pieces } = runs[0] ?? { bytes: 0, pieces: 1 };
  const ideal = boundMs(bytes, flowMbit, hosts, pieces);
  const of = (figure: (run: Spread) => number): number => median(runs.map(figure));
  const figures = {
    flowMbit: rounded(flowMbit),
    boundSeconds: rounded(ideal / 1000),
    toldSeconds: rounded(of(({ toldMs }) => toldMs) / 1000),
    p50Seconds: rounded(of(({ p50Ms }) => p50Ms) / 1000),
    lastHostSeconds: rounded(of(({ lastMs }) => lastMs) / 1000),
    p50OverBound: rounded(of(({ p50Ms }) => p50Ms) / ideal),
    lastHostOverBound: rounded(of(({ lastMs }) => lastMs) / ideal),
  };
  const settings = { hosts, mbit, mib, runs: runCount, with: options.with ?? null };
  const tool = options.with;
  if (tool === undefined) return { settings, runs: runs.map((run) => ({ ...run })), figures };
  setRates(lan, machines, mbit);
  const others = [];
  for (let run = 0; run < runCount; run += 1) {
    progress(`libtorrent, run ${run + 1} of ${runCount}`);
    others.push(
      await runLibtorrent(
        machines.map((machine) => lan.place(machine)),
        mib,
      ),
    );
  }
  const otherLastMs = median(others.map(({ tookMs }) => tookMs.at(-1) ?? Number.NaN));
  return {
    settings,
    runs: [...runs.map((run) => ({ ...run })), ...others.map((run) => ({ tool, ...run }))],
    figures: {
      ...figures,
      libtorrentLastHostSeconds: rounded(otherLastMs / 1000),
      libtorrentLastHostOverBound: rounded(otherLastMs / ideal),
    },
  };
}

async function runShoal(
  lan: Lan,
  machines: readonly string[],
  { hosts, mbit, mib, runs: runCount }: LanOptions,
): Promise<readonly Spread[]> {
  const place = (machine: string) => lan.place(machine);
  await using fleet = await SwarmFleet.start({ place, progress });
  await fleet.startHosts(hosts);
  const runs: Spread[] = [];
  for (let run = 0; run < runCount; run += 1) {
    setRates(lan, machines, unmeasuredMbit);
    const artifact = await fleet.build(mib);
    setRates(lan, machines, mbit);
    progress(`run ${run + 1} of ${runCount}`);
    runs.push(await spreadOut(fleet, artifact, finishMsMax));
  }
  return runs;
}

function whyNoTool(tool: string): string | null {
  return tool === "libtorrent" ? whyNoLibtorrent() : `no comparison with ${tool}`;
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
