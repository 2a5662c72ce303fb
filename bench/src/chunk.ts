// `bench chunk`: cutting and hashing in memory on one thread, against BLAKE3 over the same bytes in
// the same run. It shows what the chunker adds to the hash that is needed anyway.
import { Prng } from "@shoal/core/prng";
import { Chunker } from "@shoal/core/content/chunker";
import { digest } from "@shoal/core/digest";
import { gibibyte, mebibyte } from "@shoal/core/units";
import type { Command } from "commander";
import { type Finish, median, rounded, type Measured } from "./result.ts";

interface ChunkOptions {
  readonly mib: number;
  readonly runs: number;
  readonly json?: boolean;
}

export function addChunkBench(program: Command, finish: Finish): void {
  program
    .command("chunk")
    .description("Cut and hash in memory, against BLAKE3 alone")
    .option("--mib <number>", "bytes to cut", Number, 512)
    .option("--runs <number>", "alternating runs of each", Number, 5)
    .option("--json", "print the JSON line alone")
    .action((options: ChunkOptions) => {
      finish("chunk", measureChunks(options), options.json === true);
    });
}

function measureChunks(options: ChunkOptions): Measured {
  const bytes = randomBytes(options.mib * mebibyte);
  const runs: Record<string, number>[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    process.stderr.write(`run ${run + 1} of ${options.runs}\n`);
    const hashSeconds = seconds(() => hashOnly(bytes));
    let chunks = 0;
    const chunkSeconds = seconds(() => {
      chunks = cutAndHash(bytes);
    });
    runs.push({ hashSeconds, chunkSeconds, chunks });
  }
  const gib = bytes.length / gibibyte;
  const hash = median(runs.map((run) => run["hashSeconds"] ?? Number.NaN));
  const chunk = median(runs.map((run) => run["chunkSeconds"] ?? Number.NaN));
  return {
    settings: { mib: options.mib, runs: options.runs },
    runs,
    figures: {
      hashGiBPerSecond: rounded(gib / hash),
      chunkAndHashGiBPerSecond: rounded(gib / chunk),
      chunkAndHashSpeedRatio: rounded(hash / chunk),
    },
  };
}

function hashOnly(bytes: Uint8Array): void {
  for (let start = 0; start < bytes.length; start += mebibyte)
    digest(bytes.subarray(start, start + mebibyte));
}

function cutAndHash(bytes: Uint8Array): number {
  const chunker = new Chunker();
  let chunks = 0;
  const drain = (): void => {
    for (let chunk = chunker.next(); chunk !== undefined; chunk = chunker.next()) {
      digest(chunk);
      chunks += 1;
    }
  };
  for (let start = 0; start < bytes.length; start += 4 * mebibyte) {
    chunker.push(bytes.subarray(start, start + 4 * mebibyte));
    drain();
  }
  chunker.finish();
  drain();
  return chunks;
}

function randomBytes(count: number): Uint8Array {
  const prng = new Prng(1);
  const words = new Uint32Array(count / 4);
  for (let index = 0; index < words.length; index += 1) words[index] = prng.nextUint32();
  return new Uint8Array(words.buffer);
}

function seconds(work: () => void): number {
  const startedAt = performance.now();
  work();
  return (performance.now() - startedAt) / 1000;
}
