// Runs ours, and the other tool's alternately with ours where one is named, in the same call.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gibibyte } from "@shoal/core/units";
import { median, rounded, type Measured } from "../result.ts";
import { requireLibtorrent, TorrentFleet, type TorrentRun } from "./libtorrent.ts";
import { measureOurs, type OurRun, rssPeakMiB, startOurs } from "./ours.ts";

export interface ComparisonOptions {
  readonly hosts: number;
  readonly mib: number;
  readonly runs: number;
  readonly plain: boolean;
  /** The only one we know is libtorrent. */
  readonly with: string | undefined;
}

export async function compare(options: ComparisonOptions): Promise<Measured> {
  const { hosts, mib, runs: runsCount, plain } = options;
  if (options.with !== undefined && options.with !== "libtorrent")
    throw new Error(`nothing to compare with is called ${options.with}; libtorrent is`);
  if (options.with !== undefined) requireLibtorrent();
  const parent = await mkdtemp(join(tmpdir(), "shoal-transfer-"));
  await chmod(parent, 0o711);
  try {
    const theirs =
      options.with === undefined
        ? undefined
        : new TorrentFleet(join(parent, "libtorrent"), mib, hosts);
    await theirs?.prepare();
    process.stderr.write("starting the fleet\n");
    const ours = await startOurs(parent, { hosts, plain });
    try {
      const [ourRuns, theirRuns]: [OurRun[], TorrentRun[]] = [[], []];
      for (let run = 0; run < runsCount; run += 1) {
        process.stderr.write(`run ${run + 1} of ${runsCount}\n`);
        if (theirs !== undefined) theirRuns.push(await theirs.measure());
        ourRuns.push(await measureOurs(ours, mib));
      }
      const peaks = await Promise.all(ours.agents.map(rssPeakMiB));
      return {
        settings: { hosts, mib, runs: runsCount, plain, with: options.with ?? null },
        runs: [
          ...ourRuns.map((run) => ({ tool: "shoal", ...run })),
          ...theirRuns.map((run) => ({ tool: "libtorrent", ...run })),
        ],
        figures: {
          ...figuresOf(ourRuns),
          agentRssPeakMiB: rounded(Math.max(...peaks)),
          ...(theirs === undefined ? {} : ratiosOf(ourRuns, theirRuns)),
        },
      };
    } finally {
      await ours.fleet.stop();
    }
  } finally {
    await rm(parent, { recursive: true, force: true, maxRetries: 5 });
  }
}

function medianOf<Run extends { readonly bytes: number }>(
  runs: readonly Run[],
  figure: (run: Run, gib: number) => number,
): number {
  return median(runs.map((run) => figure(run, run.bytes / gibibyte)));
}

function figuresOf(runs: readonly OurRun[]): Record<string, number> {
  const of = (figure: (run: OurRun, gib: number) => number): number =>
    rounded(medianOf(runs, figure));
  return {
    transferGiBPerSecond: of((run, gib) => gib / run.fetchSeconds),
    wallSeconds: of((run) => run.seconds),
    agentCpuSecondsPerGiB: of((run, gib) => run.agentCpuSeconds / gib),
    seederCpuSecondsPerGiB: of((run, gib) => run.seederCpuSeconds / gib),
    cpuSecondsPerGiB: of((run, gib) => (run.agentCpuSeconds + run.seederCpuSeconds) / gib),
    peersShare: of((run) => run.bytesFromPeers / run.bytes),
  };
}

function ratiosOf(ours: readonly OurRun[], theirs: readonly TorrentRun[]): Record<string, number> {
  const theirCpu = medianOf(theirs, (run, gib) => run.cpuSeconds / gib);
  const theirWall = medianOf(theirs, (run) => run.seconds);
  const ourCpu = medianOf(ours, (run, gib) => (run.agentCpuSeconds + run.seederCpuSeconds) / gib);
  const ourWall = medianOf(ours, (run) => run.seconds);
  return {
    libtorrentCpuSecondsPerGiB: rounded(theirCpu),
    libtorrentWallSeconds: rounded(theirWall),
    cpuRatio: rounded(ourCpu / theirCpu),
    wallRatio: rounded(ourWall / theirWall),
  };
}
