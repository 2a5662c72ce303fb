// `bench delta`: what a host that has the older build lacks of the newer one, and how long its update
// takes until it is on the disk, against `casync extract --seed` and a sync. For the executables of two
// consecutive releases, and for two builds of a tree made from them. Both tools have all chunks in a store on
// the same disk. An agent runs when an update comes, so ours is timed in a process that runs, from the order to
// its end: `updateWallRatio`; and as a whole process, from its start: `updateColdWallRatio`. Theirs is a program
// that is started for each update.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mebibyte } from "@shoal/core/units";
import type { Command } from "commander";
import { type Finish, median, rounded, type Measured } from "../result.ts";
import {
  casyncExtract,
  casyncMake,
  casyncVersion,
  indexPath,
  readIndex,
  settleDisk,
} from "./casync.ts";
import { runShoal } from "./run-shoal.ts";
import {
  makeExecutables,
  readExecutables,
  writeExecutable,
  writeTree,
  type Executables,
} from "./inputs.ts";
import { startDaemon, type Daemon } from "./daemon.ts";
import { requirePrograms, runTimed } from "./timed.ts";

/** For the result's settings: what the figures of updates are. */
const updateMeans =
  "update: order to a running process until all is complete, checked and synced; cold: whole process; casync: whole process and sync";

interface DeltaOptions {
  readonly mib: number;
  readonly runs: number;
  readonly dir?: string;
  readonly made?: boolean;
  readonly json?: boolean;
}

/** One pair of builds in a folder of its own. */
interface Pair {
  readonly name: "executable" | "tree";
  readonly dir: string;
  readonly isTree: boolean;
  readonly write: (build: "older" | "newer", path: string) => Promise<void>;
}

export function addDeltaBench(program: Command, finish: Finish): void {
  program
    .command("delta")
    .description("Update a host from one build to the next, against casync extract --seed")
    .option("--mib <number>", "size of the tree", Number, 10_240)
    .option("--runs <number>", "alternating runs of each", Number, 3)
    .option("--dir <folder>", "where inputs are cached and stores are written")
    .option("--made", "made inputs instead of real executables from npm")
    .option("--json", "print the JSON line alone")
    .action(async (options: DeltaOptions) => {
      finish("delta", await measureDelta(options), options.json === true);
    });
}

async function measureDelta(options: DeltaOptions): Promise<Measured> {
  await requirePrograms(["casync", "time"]);
  const cacheDir = options.dir ?? join(tmpdir(), "shoal-bench");
  await mkdir(cacheDir, { recursive: true });
  const executables =
    options.made === true ? makeExecutables(128 * mebibyte) : await readExecutables(cacheDir);
  const { mib, runs: runsCount } = options;
  const runs: Record<string, unknown>[] = [];
  const figures: Record<string, number> = {};
  for (const pair of pairsOf(executables, mib)) {
    const dir = await mkdtemp(join(cacheDir, "delta-"));
    try {
      const found = await measurePair({ ...pair, dir }, runsCount);
      runs.push(...found);
      Object.assign(figures, figuresOf(pair.name, found));
    } finally {
      await runTimed("rm", ["-rf", dir]);
    }
  }
  // The issue's own names stand for the worse of the two pairs.
  const worse = (figure: string): number =>
    Math.max(figures[`executable${figure}`] ?? 0, figures[`tree${figure}`] ?? 0);
  figures["movedBytesRatio"] = worse("MovedBytesRatio");
  figures["updateWallRatio"] = worse("UpdateWallRatio");
  figures["updateColdWallRatio"] = worse("UpdateColdWallRatio");
  const settings = { mib, runs: runsCount, inputs: executables.label, update: updateMeans };
  return { settings: { ...settings, casync: await casyncVersion() }, runs, figures };
}

function pairsOf(executables: Executables, mib: number): Omit<Pair, "dir">[] {
  return [
    {
      name: "executable",
      isTree: false,
      write: (build, path) => writeExecutable(path, executables[build]),
    },
    {
      name: "tree",
      isTree: true,
      write: (build, path) => writeTree(path, executables, mib * mebibyte, build),
    },
  ];
}

async function measurePair(pair: Pair, runsCount: number): Promise<Record<string, unknown>[]> {
  const { dir, name, isTree } = pair;
  process.stderr.write(`${name}: publishing both builds with both tools\n`);
  for (const build of ["older", "newer"] as const) {
    const input = join(dir, `input-${build}`);
    await pair.write(build, input);
    await runShoal("publish", input, join(dir, "store"), join(dir, `manifest-${build}`));
    await casyncMake(join(dir, "store.castr"), indexPath(dir, build, isTree), input);
    if (build === "older") await runTimed("mv", [input, join(dir, "seed")]);
    else await rm(input, { recursive: true, force: true });
  }
  const theirMovedBytes = await movedBytes(dir, isTree);
  const runs: Record<string, unknown>[] = [];
  const daemon = await startDaemon();
  try {
    // What the host has before: as each tool leaves it.
    await daemon.order("update", join(dir, "store"), join(dir, "manifest-older"), join(dir, "old"));
    for (let run = 0; run < runsCount; run += 1) {
      process.stderr.write(`${name}: run ${run + 1} of ${runsCount}\n`);
      runs.push({
        pair: name,
        ...(await updateOnce(pair, daemon)),
        casyncMovedBytes: theirMovedBytes,
      });
    }
  } finally {
    await daemon.stop();
  }
  return runs;
}

/** Bytes of the chunks that the newer index names and the older one doesn't, each once. */
async function movedBytes(dir: string, isTree: boolean): Promise<number> {
  const older = await readIndex(indexPath(dir, "older", isTree));
  const newer = await readIndex(indexPath(dir, "newer", isTree));
  let bytes = 0;
  for (const [id, size] of newer) if (!older.has(id)) bytes += size;
  return bytes;
}

async function updateOnce({ dir, isTree }: Pair, daemon: Daemon): Promise<Record<string, unknown>> {
  const ours = join(dir, "new");
  const theirs = join(dir, "extracted");
  const args = ["update", join(dir, "store"), join(dir, "manifest-newer"), ours, join(dir, "old")];
  await settleDisk(dir);
  const update = await daemon.order(...args);
  await setAside(dir, ours);
  await settleDisk(dir);
  const index = indexPath(dir, "newer", isTree);
  const extract = await casyncExtract(join(dir, "store.castr"), index, theirs, join(dir, "seed"));
  // Our update ends when all of it is on the disk; so does theirs.
  const sync = await runTimed("sync", ["-f", theirs]);
  await setAside(dir, theirs);
  await settleDisk(dir);
  const cold = await runShoal(...args);
  await setAside(dir, ours);
  return {
    updateWallSeconds: update.wallSeconds,
    updateCpuSeconds: update.answer["cpuSeconds"],
    updatePeakMiB: update.answer["peakMiB"],
    updateColdWallSeconds: cold.timed.wallSeconds,
    updateColdCpuSeconds: cold.timed.cpuSeconds,
    movedBytes: update.answer["movedBytes"],
    reusedBytes: update.answer["reusedBytes"],
    artifactBytes: update.answer["bytes"],
    casyncWallSeconds: extract.wallSeconds + sync.wallSeconds,
    casyncUnsyncedSeconds: extract.wallSeconds,
    casyncCpuSeconds: extract.cpuSeconds,
  };
}

/**
 * Gives up an output's blocks, but not its files: ext4 looks for inodes past those that were deleted in the last
 * minutes, one by one, so that making a thousand files after deleting a thousand takes seconds, of ours and theirs.
 */
async function setAside(dir: string, output: string): Promise<void> {
  const aside = await mkdtemp(join(dir, "aside-"));
  await runTimed("chmod", ["-R", "u+w", output]);
  await runTimed("find", [output, "-type", "f", "-exec", "truncate", "--size=0", "{}", "+"]);
  await runTimed("mv", [output, aside]);
}

function figuresOf(
  name: Pair["name"],
  runs: readonly Record<string, unknown>[],
): Record<string, number> {
  const of = (key: string): number => median(runs.map((run) => Number(run[key])));
  return {
    [`${name}MovedMiB`]: rounded(of("movedBytes") / mebibyte),
    [`${name}CasyncMovedMiB`]: rounded(of("casyncMovedBytes") / mebibyte),
    [`${name}MovedBytesRatio`]: rounded(of("movedBytes") / of("casyncMovedBytes")),
    [`${name}UpdateSeconds`]: rounded(of("updateWallSeconds")),
    [`${name}UpdateCpuSeconds`]: rounded(of("updateCpuSeconds")),
    [`${name}UpdatePeakMiB`]: rounded(of("updatePeakMiB")),
    [`${name}CasyncSeconds`]: rounded(of("casyncWallSeconds")),
    [`${name}CasyncCpuSeconds`]: rounded(of("casyncCpuSeconds")),
    [`${name}UpdateWallRatio`]: rounded(of("updateWallSeconds") / of("casyncWallSeconds")),
    [`${name}UpdateColdSeconds`]: rounded(of("updateColdWallSeconds")),
    [`${name}UpdateColdWallRatio`]: rounded(of("updateColdWallSeconds") / of("casyncWallSeconds")),
    [`${name}UpdateUnsyncedRatio`]: rounded(of("updateWallSeconds") / of("casyncUnsyncedSeconds")),
  };
}
