// `bench sim`: the scheduler on a virtual clock, against the best possible time.
import { writeFileSync } from "node:fs";
import { gibibyte, kibibyte, mebibyte } from "@shoal/core/units";
import { InvalidArgumentError, type Command } from "commander";
import { type Finish, rounded, type Measured } from "../result.ts";
import { baselineNames, runBaseline, type Baseline, type BaselineName } from "./baselines.ts";
import { htmlReport } from "./html-report.ts";
import { ranWithLargePages, type Invocation } from "./large-pages.ts";
import { readScenario, type ScenarioFields } from "./scenario-file.ts";
import { replayCommand, search } from "./search.ts";
import { runInLanes } from "./lanes.ts";
import { quantile, type RunReport } from "./report.ts";
import type { OnProgress } from "./run.ts";
import { scenarioWith, type Scenario } from "./scenario.ts";

interface SimOptions {
  readonly scenario?: ScenarioFields;
  readonly hosts?: number;
  readonly size?: number;
  readonly mbit?: number;
  readonly seed?: number;
  readonly search?: number;
  readonly with?: readonly BaselineName[];
  readonly html?: string;
  readonly json?: boolean;
}

export function addSimBench(program: Command, finish: Finish, invocation: Invocation): void {
  program
    .command("sim")
    .description("Run the scheduler on a virtual clock, and compare it with the best possible time")
    .option(
      "--scenario <file>",
      "JSON as in docs/SIMULATOR.md; other options go before it",
      readScenario,
    )
    .option("--hosts <number>", "hosts of the region", Number)
    .option("--size <bytes>", "size of the artifact, like 256MiB or 10GiB", parseBytes)
    .option("--mbit <number>", "rate of each host, up and down", Number)
    .option("--seed <number>", "everything random follows from it", Number)
    .option("--search <number>", "look through so many small worlds with faults", Number)
    .option("--with <baselines>", `in the same world: ${baselineNames.join(",")}`, parseBaselines)
    .option("--html <file>", "write a page with completion curves and bytes by source")
    .option("--json", "print the JSON line alone")
    .action(async (options: SimOptions) => {
      if (ranWithLargePages(invocation)) return undefined;
      if (options.search !== undefined) return runSearch(options, finish);
      const scenario = scenarioWith({ ...options.scenario, ...fieldsOf(options) });
      const report = await runInLanes(scenario, progressShower());
      const others: Baseline[] = [];
      for (const name of options.with ?? []) {
        others.push(await runBaseline(name, scenario, progressShower()));
      }
      if (options.html !== undefined) {
        const title = `${scenario.hosts} hosts at ${scenario.mbit} Mbit/s`;
        const runs = [{ name: "shoal", ...report }, ...others];
        writeFileSync(options.html, htmlReport(title, report.boundMs, runs, { ...scenario }));
      }
      finish("sim", measuredOf(scenario, report, others), options.json === true);
      // Who should have finished and didn't: a failure of liveness, like 2 for a wrong call.
      if (!report.isDone) process.exitCode = report.violation === undefined ? 3 : 4;
      const { violation, unfinished } = report;
      for (const what of violation === undefined ? unfinished.slice(0, 5) : [violation]) {
        process.stderr.write(`${what}\n`);
      }
      return undefined;
    });
}

/** Ends with 3 or 4 like a run, and with the command that runs the failing world again. */
function runSearch({ search: count = 0, seed = 1, json }: SimOptions, finish: Finish): void {
  const startedAt = performance.now();
  const found = search(seed, count, (index) => showWorlds(index, count));
  const wallSeconds = rounded((performance.now() - startedAt) / 1000);
  const worlds = found === undefined ? count : found.seed - seed + 1;
  const figures = { worlds, failures: found === undefined ? 0 : 1, wallSeconds };
  finish(
    "sim-search",
    { settings: { seed, worlds: count }, runs: [figures], figures },
    json === true,
  );
  if (found === undefined) return;
  const { kind, what } = found.failure;
  process.exitCode = kind === "liveness" ? 3 : 4;
  process.stderr.write(`seed ${found.seed}, ${kind}: ${what}\n${replayCommand(found.scenario)}\n`);
}

function showWorlds(index: number, count: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${index} of ${count} worlds `);
}

function fieldsOf({ hosts, size, mbit, seed }: SimOptions): ScenarioFields {
  const fields: ScenarioFields = {};
  if (hosts !== undefined) fields.hosts = hosts;
  if (size !== undefined) fields.artifactBytes = size;
  if (mbit !== undefined) fields.mbit = mbit;
  if (seed !== undefined) fields.seed = seed;
  return fields;
}

function measuredOf(scenario: Scenario, report: RunReport, others: readonly Baseline[]): Measured {
  const { boundMs: idealMs, tookMs, lastMs, events, wallMs } = report;
  const figures = {
    lastHostOverBound: rounded(lastMs / idealMs),
    p50OverBound: rounded(quantile(tookMs, 0.5) / idealMs),
    p99OverBound: rounded(quantile(tookMs, 0.99) / idealMs),
    p99HealthyOverBound: rounded(report.healthyP99Ms / idealMs),
    boundSeconds: rounded(idealMs / 1000),
    seederCopies: rounded(report.bytesFromSeeders / scenario.artifactBytes),
    discardedShare: rounded(report.bytesDiscarded / (scenario.artifactBytes * scenario.hosts)),
    events,
    eventsPerSecond: rounded((events / wallMs) * 1000),
    wallSeconds: rounded(wallMs / 1000),
    ...comparisons(report, others),
    peakMemoryMiB: rounded(process.resourceUsage().maxRSS / 1024),
  };
  return {
    settings: { ...scenario },
    runs: [{ ...figures, isDone: report.isDone, logDigest: report.logDigest }],
    figures,
  };
}

/** How much longer others take than we do. */
function comparisons({ tookMs }: RunReport, others: readonly Baseline[]): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const other of others) {
    for (const [name, share] of [
      ["P50", 0.5] as const,
      ["P99", 0.99] as const,
      ["Last", 1] as const,
    ]) {
      const over = quantile(other.tookMs, share) / quantile(tookMs, share);
      figures[`${other.name}${name}OverOurs`] = rounded(over);
    }
  }
  return figures;
}

function parseBaselines(text: string): readonly BaselineName[] {
  return text.split(",").map((given) => {
    const name = baselineNames.find((known) => known === given);
    if (name === undefined) throw new InvalidArgumentError(`Some of ${baselineNames.join(",")}.`);
    return name;
  });
}

const barChars = 30;

/** A bar towards the best possible end, with the world's time and ours. */
function progressShower(): OnProgress {
  const startedAt = performance.now();
  return ({ now, boundMs, events, doneCount }) => {
    if (!process.stderr.isTTY) return;
    const share = Math.min(1, now / boundMs);
    const bar = "#".repeat(Math.round(share * barChars)).padEnd(barChars, ".");
    const virtual = (now / 1000).toFixed(1);
    const real = ((performance.now() - startedAt) / 1000).toFixed(0);
    const counts = `${events} events, ${doneCount} hosts done`;
    process.stderr.write(`\r[${bar}] ${virtual} s virtual, ${real} s real, ${counts} `);
  };
}

const units = new Map([
  ["KiB", kibibyte],
  ["MiB", mebibyte],
  ["GiB", gibibyte],
]);

function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB)$/.exec(text);
  const unit = units.get(match?.[2] ?? "");
  if (match === null || unit === undefined) {
    throw new InvalidArgumentError("Say it like 256MiB or 10GiB.");
  }
  return Math.round(Number(match[1]) * unit);
}
