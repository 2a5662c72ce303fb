// `bench queue`: how many builds a second builders claim, keep and end over HTTP; how many the
// database part alone does, beside graphile-worker and pg-boss on the same Postgres; and, with
// `--chaos`, whether anything is lost or ends twice while everything around the queue is broken.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startPostgres } from "@shoal/postgres/server";
import type { Command } from "commander";
import { type Finish, type Measured, median, rounded } from "../result.ts";
import { measureChaos } from "./chaos.ts";
import { createDatabase } from "./database.ts";
import { measureHttp } from "./http-rate.ts";
import { measureHeldSnapshot } from "./held-snapshot.ts";
import { measureLargeLog } from "./large-log.ts";
import { measureLargeTable } from "./large-table.ts";
import { type QueueOptions, quiet } from "./options.ts";
import { measureGraphile, measurePgBoss } from "./other-queues.ts";

export function addQueueBench(program: Command, finish: Finish): void {
  program
    .command("queue")
    .description("Claims, beats and ends of builds; beside other queues; under faults")
    .option("--builders <number>", "builders, and claimers of the database part", Number, 32)
    .option("--builds <number>", "builds over HTTP (20000 with --chaos)", Number)
    .option("--jobs <number>", "jobs of each queue in the database part", Number, 5000)
    .option("--runs <number>", "alternating runs of the database part", Number, 3)
    .option("--connections <number>", "connections to Postgres of each", Number, 16)
    .option("--chaos", "break everything around the queue instead")
    .option(
      "--rows <number>",
      "instead: list, get and claim with so many builds in the table",
      Number,
    )
    .option("--snapshot <seconds>", "instead: claims while a snapshot is held open so long", Number)
    .option("--log <megabytes>", "instead: open and search a log that is so large", Number)
    .option("--json", "print the JSON line alone")
    .action(async (given: Omit<QueueOptions, "builds"> & { builds?: number }) => {
      const builds = given.builds ?? (given.chaos === true ? 20_000 : 6000);
      const options = { ...given, builds };
      const dir = await mkdtemp(join(tmpdir(), "shoal-bench-queue-"));
      try {
        const measured = await measureOf(options)(dir, options);
        finish("queue", measured, given.json === true);
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });
}

function measureOf(options: QueueOptions): typeof measureQueue {
  if (options.chaos === true) return measureChaos;
  if (options.rows !== undefined) return measureLargeTable;
  if (options.log !== undefined) return measureLargeLog;
  return options.snapshot === undefined ? measureQueue : measureHeldSnapshot;
}

async function measureQueue(dir: string, options: QueueOptions): Promise<Measured> {
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: quiet });
  try {
    const http = await measureHttp(dir, postgres.url, options);
    const runs: Record<string, number>[] = [];
    for (let run = 1; run <= options.runs; run += 1) {
      process.stderr.write(`database part, run ${run} of ${options.runs}\n`);
      runs.push(await measureDatabaseParts(postgres.url, run, options));
    }
    const middle = (name: string): number => median(runs.map((run) => run[name] ?? Number.NaN));
    return {
      settings: { ...options },
      runs: [http, ...runs],
      figures: {
        ...http,
        // As control planes do it unless told otherwise: a job for each claim, claims at once together.
        claimsPerSecond: rounded(middle("ours")),
        claimMsP99: rounded(middle("oursClaimMsP99")),
        graphileJobsPerSecond: rounded(middle("graphile")),
        pgBossJobsPerSecond: rounded(middle("pgBoss")),
        claimRatioGraphile: rounded(middle("ours") / middle("graphile")),
        claimRatioPgBoss: rounded(middle("ours") / middle("pgBoss")),
        // The same with a statement for each claim and each end.
        claimsAlonePerSecond: rounded(middle("oursAlone")),
        claimAloneMsP99: rounded(middle("oursAloneClaimMsP99")),
        claimAloneRatioGraphile: rounded(middle("oursAlone") / middle("graphile")),
        claimAloneRatioPgBoss: rounded(middle("oursAlone") / middle("pgBoss")),
      },
    };
  } finally {
    await postgres.stop();
  }
}

const execute = promisify(execFile);

interface OurRate {
  readonly perSecond: number;
  readonly claimMsP99: number;
}

const ratesProgram = fileURLToPath(
  new URL("../../../control-plane/src/claims-rate/main.ts", import.meta.url),
);

/** Ours twice: as control planes do it, and with each claim and end in a statement of its own. */
async function measureDatabaseParts(
  url: string,
  run: number,
  options: QueueOptions,
): Promise<Record<string, number>> {
  const { jobs, builders: claimers, connections } = options;
  const load = async (name: string) => ({
    databaseUrl: await createDatabase(url, `${name}_${run}`),
    jobs,
    claimers,
    connections,
  });
  const ours = async (name: string, together: boolean): Promise<OurRate> => {
    const { databaseUrl } = await load(name);
    const input = { databaseUrl, claimers, builds: jobs, connections, together };
    const { stdout } = await execute(process.execPath, [ratesProgram, JSON.stringify(input)]);
    return JSON.parse(stdout) as OurRate;
  };
  const together = await ours("ours", true);
  const alone = await ours("ours_alone", false);
  return {
    ours: together.perSecond,
    oursClaimMsP99: together.claimMsP99,
    oursAlone: alone.perSecond,
    oursAloneClaimMsP99: alone.claimMsP99,
    graphile: await measureGraphile(await load("graphile")),
    pgBoss: await measurePgBoss(await load("pgboss")),
  };
}
