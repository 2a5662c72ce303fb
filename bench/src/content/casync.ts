// Drives casync, the tool to beat: same average chunk size, zstd, same disk. Its sizes come from its
// own index files and chunk stores.
import { execFile } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { chunkBytesTarget } from "@shoal/core/limits";
import { runTimed, type Timed } from "./timed.ts";

const common = ["--compression=zstd", `--chunk-size=${chunkBytesTarget}`];

/** The name of the index of an input in a folder: casync tells files from trees by it. */
export function indexPath(dir: string, name: string, isTree: boolean): string {
  return join(dir, `${name}.${isTree ? "caidx" : "caibx"}`);
}

/** Chunks a file or tree into a store. */
export async function casyncMake(store: string, index: string, input: string): Promise<Timed> {
  return runTimed("casync", ["make", ...common, `--store=${store}`, index, input]);
}

/** Writes what an index names, taking from the seed what it has. */
export async function casyncExtract(
  store: string,
  index: string,
  output: string,
  seed: string | undefined,
): Promise<Timed> {
  const seeds = seed === undefined ? [] : [`--seed=${seed}`];
  return runTimed("casync", ["extract", ...common, `--store=${store}`, ...seeds, index, output]);
}

export async function casyncVersion(): Promise<string> {
  const { stdout } = await promisify(execFile)("casync", ["--version"]);
  return stdout.trim().split("\n")[0] ?? "unknown";
}

const headBytes = 48;
const tableHeadBytes = 16;
const itemBytes = 40;

/**
 * The chunks that an index names: id in hexadecimal to uncompressed size. An index is a head of 48
 * bytes, a table head of 16, then for each chunk the offset of its end and its id, and a tail of the
 * same size as an item (casync's caformat.h).
 */
export async function readIndex(path: string): Promise<ReadonlyMap<string, number>> {
  const bytes = await readFile(path);
  const chunks = new Map<string, number>();
  let start = 0n;
  const last = bytes.length - 2 * itemBytes;
  for (let at = headBytes + tableHeadBytes; at <= last; at += itemBytes) {
    const end = bytes.readBigUInt64LE(at);
    chunks.set(bytes.toString("hex", at + 8, at + itemBytes), Number(end - start));
    start = end;
  }
  return chunks;
}

/** Writes everything that is still in memory to the disk, so that no run pays for the one before. */
export async function settleDisk(dir: string): Promise<void> {
  await promisify(execFile)("sync", []);
  const handle = await open(dir, "r");
  await handle.sync();
  await handle.close();
}
