// `bench content`: chunking and hashing of a tree on disk, against BLAKE3 alone; and publishing it to a
// store in a folder, against `casync make`. Both tools in the same run, alternating, on the same disk.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gibibyte, mebibyte } from "@shoal/core/units";
import type { Command } from "commander";
import { type Finish, median, rounded, type Measured } from "../result.ts";
import { casyncMake, casyncVersion, indexPath, settleDisk } from "./casync.ts";
import { startDaemon, type Done } from "./daemon.ts";
import { bytesBelow, makeExecutables, readExecutables, writeTree } from "./inputs.ts";
import { runShoal } from "./run-shoal.ts";
import { requirePrograms } from "./timed.ts";

export interface ContentOptions {
  readonly mib: number;
  readonly runs: number;
  readonly dir?: string;
  readonly made?: boolean;
  readonly json?: boolean;
}

export function addContentBench(program: Command, finish: Finish): void {
  program
    .command("content")
    .description("Chunk, hash and publish a tree, against casync")
    .option("--mib <number>", "size of the tree", Number, 2048)
    .option("--runs <number>", "alternating runs of each", Number, 3)
    .option("--dir <folder>", "where inputs are cached and stores are written")
    .option("--made", "made inputs instead of real executables from npm")
    .option("--json", "print the JSON line alone")
    .action(async (options: ContentOptions) => {
      finish("content", await measureContent(options), options.json === true);
    });
}

async function measureContent(options: ContentOptions): Promise<Measured> {
  await requirePrograms(["casync", "time"]);
  const cacheDir = options.dir ?? join(tmpdir(), "shoal-bench");
  await mkdir(cacheDir, { recursive: true });
  const executables =
    options.made === true ? makeExecutables(128 * mebibyte) : await readExecutables(cacheDir);
  const dir = await mkdtemp(join(cacheDir, "content-"));
  try {
    const input = join(dir, "input");
    await writeTree(input, executables, options.mib * mebibyte, "older");
    const gib = (await bytesBelow(input)) / gibibyte;
    const runs: Record<string, unknown>[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      process.stderr.write(`run ${run + 1} of ${options.runs}\n`);
      runs.push(await measureOnce(dir, input));
    }
    const { mib } = options;
    const settings = { mib, runs: options.runs, inputs: executables.label };
    return {
      settings: { ...settings, casync: await casyncVersion(), inputGiB: rounded(gib) },
      runs,
      figures: figuresOf(runs, gib),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function measureOnce(dir: string, input: string): Promise<Record<string, unknown>> {
  // What was written before, the input itself at first, mustn't be on its way to the disk meanwhile.
  await settleDisk(dir);
  const { cold, warm } = await chunkTwice(input);
  const hash = await runShoal("hash", input);
  const ours = join(dir, "ours");
  const theirs = join(dir, "theirs.castr");
  try {
    await settleDisk(dir);
    const publish = await runShoal("publish", input, ours, join(dir, "manifest"));
    await settleDisk(dir);
    const index = indexPath(dir, "input", true);
    const make = await casyncMake(theirs, index, input);
    return {
      blake3GiBPerSecond: hash.answer["gibPerSecond"],
      chunkWallSeconds: warm.wallSeconds,
      chunkColdWallSeconds: cold.wallSeconds,
      chunkCpuSeconds: warm.answer["cpuSeconds"],
      publishWallSeconds: publish.timed.wallSeconds,
      publishCpuSeconds: publish.timed.cpuSeconds,
      publishPeakMiB: publish.timed.peakMiB,
      publishStoreBytes: (await bytesBelow(ours)) + (await bytesBelow(join(dir, "manifest"))),
      casyncWallSeconds: make.wallSeconds,
      casyncCpuSeconds: make.cpuSeconds,
      casyncStoreBytes: (await bytesBelow(theirs)) + (await bytesBelow(index)),
    };
  } finally {
    await rm(ours, { recursive: true, force: true });
    await rm(theirs, { recursive: true, force: true });
  }
}

/**
 * By a process that has just started, and by one that has chunked before: a builder runs for weeks, and what
 * BLAKE3 alone does is measured after a pass that warms it up, too.
 */
async function chunkTwice(input: string): Promise<Record<"cold" | "warm", Done>> {
  const daemon = await startDaemon();
  try {
    const cold = await daemon.order("chunk", input);
    const warm = await daemon.order("chunk", input);
    return { cold, warm };
  } finally {
    await daemon.stop();
  }
}

function figuresOf(runs: readonly Record<string, unknown>[], gib: number): Record<string, number> {
  const of = (name: string): number => median(runs.map((run) => Number(run[name])));
  const blake3 = of("blake3GiBPerSecond");
  const chunkSpeed = gib / of("chunkWallSeconds");
  const chunkTarget = Math.min(blake3 * 0.7, 0.8);
  return {
    blake3GiBPerSecond: rounded(blake3),
    chunkGiBPerSecond: rounded(chunkSpeed),
    chunkColdGiBPerSecond: rounded(gib / of("chunkColdWallSeconds")),
    chunkHashOverBlake3: rounded(chunkSpeed / blake3),
    // 0.7 of BLAKE3's speed on one thread or 0.8 GiB/s, whichever is lower; and how much of it is reached.
    chunkTargetGiBPerSecond: rounded(chunkTarget),
    chunkOverTarget: rounded(chunkSpeed / chunkTarget),
    chunkCpuSecondsPerGiB: rounded(of("chunkCpuSeconds") / gib),
    publishSecondsPerGiB: rounded(of("publishWallSeconds") / gib),
    publishCpuSecondsPerGiB: rounded(of("publishCpuSeconds") / gib),
    publishPeakMiB: rounded(Math.max(...runs.map((run) => Number(run["publishPeakMiB"])))),
    casyncSecondsPerGiB: rounded(of("casyncWallSeconds") / gib),
    casyncCpuSecondsPerGiB: rounded(of("casyncCpuSeconds") / gib),
    wallRatio: rounded(of("publishWallSeconds") / of("casyncWallSeconds")),
    cpuRatio: rounded(of("publishCpuSeconds") / of("casyncCpuSeconds")),
    storeBytesRatio: rounded(of("publishStoreBytes") / of("casyncStoreBytes")),
  };
}
