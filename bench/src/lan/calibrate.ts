// `bench calibrate`: how well the simulator foretells real runs. Its parameters come from transfers from
// the seeder to one host alone: the rate is the slope between two sizes, what a transfer costs besides
// is the intercept. Then all hosts fetch, in worlds of two rates, two sizes, and with or without a host
// at a fifth of the rate, and median and last host are held against what the simulator says.
import type { Command } from "commander";
import { mebibyte } from "@shoal/core/units";
import { type Finish, rounded, type Measured } from "../result.ts";
import { runScenario } from "../sim/run.ts";
import { scenarioWith } from "../sim/scenario.ts";
import { SwarmFleet } from "../swarm/swarm-fleet.ts";
import { quantile } from "../swarm/swarm-watch.ts";
import { machinesOf, setRates } from "./lan.ts";
import { Lan, whyNoLan } from "./network.ts";
import { type Spread, spreadOut } from "./spread.ts";

interface CalibrateOptions {
  readonly hosts: number;
  readonly rates: string;
  readonly sizes: string;
  readonly json?: boolean;
}

/** What transfers to one host say about a rate. */
interface OneToOne {
  readonly mbit: number;
  readonly goodputMbit: number;
  readonly besidesMs: number;
}

interface Compared {
  readonly mbit: number;
  readonly mib: number;
  readonly withSlow: boolean;
  readonly p50Seconds: number;
  readonly lastSeconds: number;
  readonly p50PredictedSeconds: number;
  readonly lastPredictedSeconds: number;
  /** The larger of both errors, as a share of what was measured. */
  readonly error: number;
}

const slowFactor = 0.2;
const unmeasuredMbit = 1000;
const oneToOneMib = [8, 40] as const;
/** What all have fetched before they are measured: with 8 MiB, the first world's agents lost a second more than others. */
const warmingMib = 128;
const finishMsMax = 600_000;
const errorMax = 0.15;
/** What the chunker makes of random bytes, in the middle. */
const chunkBytes = mebibyte / 8;

export function addCalibrateBench(program: Command, finish: Finish): void {
  program
    .command("calibrate")
    .description("Real runs against what the simulator foretells")
    .option("--hosts <number>", "machines with an agent", Number, 12)
    .option("--rates <list>", "Mbit/s, with commas", "50,100")
    .option("--sizes <list>", "MiB, with commas", "64,256")
    .option("--json", "print the JSON line alone")
    .action(async (options: CalibrateOptions) => {
      const missing = whyNoLan();
      if (missing === null) {
        finish("calibrate", await calibrate(options), options.json === true);
        return;
      }
      process.stderr.write(`${missing}\n`);
      process.exitCode = 2;
    });
}

async function calibrate({ hosts, rates, sizes }: CalibrateOptions): Promise<Measured> {
  const machines = machinesOf(hosts);
  using lan = new Lan(machines);
  setRates(lan, machines, unmeasuredMbit);
  const place = (machine: string) => lan.place(machine);
  await using fleet = await SwarmFleet.start({ place, progress });
  const spread = async (mib: number, mbit: number, withSlow: boolean): Promise<Spread> => {
    setRates(lan, machines, unmeasuredMbit);
    const artifact = await fleet.build(mib);
    setRates(lan, machines, mbit);
    if (withSlow) lan.setRate("host-1", mbit * slowFactor);
    const done = await spreadOut(fleet, artifact, finishMsMax);
    progress(`${mib} MiB at ${mbit} Mbit/s: last host after ${rounded(done.lastMs / 1000)} s`);
    return done;
  };
  await fleet.startHosts(1);
  // Programs are warm in the worlds that are to be foretold, too.
  await spread(oneToOneMib[0], unmeasuredMbit, false);
  const single: OneToOne[] = [];
  for (const mbit of numbersOf(rates)) {
    const small = await spread(oneToOneMib[0], mbit, false);
    single.push(oneToOneOf(mbit, small, await spread(oneToOneMib[1], mbit, false)));
  }
  await fleet.startHosts(hosts);
  await spread(warmingMib, unmeasuredMbit, false);
  const compared: Compared[] = [];
  for (const known of single) {
    for (const mib of numbersOf(sizes)) {
      for (const withSlow of [false, true]) {
        const real = await spread(mib, known.mbit, withSlow);
        compared.push(compare(real, known, { hosts, mib, withSlow }));
      }
    }
  }
  const within = compared.filter(({ error }) => error <= errorMax).length;
  return {
    settings: { hosts, rates, sizes, slowFactor },
    runs: [...single.map((known) => ({ ...known })), ...compared.map((one) => ({ ...one }))],
    figures: {
      scenarios: compared.length,
      predictedWithin15Percent: within,
      worstError: rounded(Math.max(...compared.map(({ error }) => error))),
    },
  };
}

function oneToOneOf(mbit: number, small: Spread, large: Spread): OneToOne {
  const bytesPerMs = (large.bytes - small.bytes) / (large.lastMs - small.lastMs);
  return {
    mbit,
    goodputMbit: rounded((bytesPerMs * 8) / 1000),
    besidesMs: rounded(Math.max(0, small.lastMs - small.bytes / bytesPerMs)),
  };
}

function compare(
  real: Spread,
  { mbit, goodputMbit, besidesMs }: OneToOne,
  {
    hosts,
    mib,
    withSlow,
  }: { readonly hosts: number; readonly mib: number; readonly withSlow: boolean },
): Compared {
  const { tookMs } = runScenario(
    scenarioWith({
      ...{ hosts, chunkBytes, artifactBytes: mib * mebibyte, mbit: goodputMbit },
      ...{ slowShare: withSlow ? 1 / hosts : 0, slowFactor },
    }),
    () => undefined,
  );
  const predicted = [quantile(tookMs, 0.5), tookMs.at(-1) ?? Number.NaN].map(
    (ms) => ms + besidesMs,
  );
  const [p50 = Number.NaN, last = Number.NaN] = predicted;
  const error = Math.max(off(p50, real.p50Ms), off(last, real.lastMs));
  return {
    ...{ mbit, mib, withSlow },
    p50Seconds: rounded(real.p50Ms / 1000),
    lastSeconds: rounded(real.lastMs / 1000),
    p50PredictedSeconds: rounded(p50 / 1000),
    lastPredictedSeconds: rounded(last / 1000),
    error: rounded(error),
  };
}

function off(predicted: number, measured: number): number {
  return Math.abs(predicted - measured) / measured;
}

function numbersOf(list: string): readonly number[] {
  return list.split(",").map(Number);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
