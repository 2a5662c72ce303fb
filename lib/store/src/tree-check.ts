// Holds a folder to a manifest: names, types, sizes, modes, links, and every byte by its chunk's hash.
// Changes nothing, so it may look at a release that a program runs in.
import { lstat, readdir, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Manifest, ManifestEntry } from "@shoal/core/content/manifest";
import type { Bytes, ChunkIndex } from "@shoal/core/units";
import { forEachInLanes } from "./bounded-lanes.ts";
import { FileRanges } from "./file-ranges.ts";
import { TreeFiles } from "./tree-files.ts";
import { sealedMode, type TreeProblem } from "./tree-layout.ts";
import { findWrongChunks } from "./wrong-chunks.ts";

export interface TreeCheck {
  readonly problems: readonly TreeProblem[];
  /** Chunks whose bytes can't be read or are wrong. */
  readonly wrongChunks: readonly ChunkIndex[];
  /** What would have to be fetched to make it right. */
  readonly wrongBytes: Bytes;
}

/** Entries that are looked at at once. */
const entryLanesCount = 16;

/** An artifact of one file is checked as `tree/<its name>`, as a release has it. */
export async function checkAgainst(tree: string, manifest: Manifest): Promise<TreeCheck> {
  const problems: TreeProblem[] = [];
  await forEachInLanes(manifest.entries, entryLanesCount, async (entry) => {
    const problem = await problemOf(join(tree, entry.path), entry);
    if (problem !== undefined) problems.push({ path: entry.path, problem });
  });
  for (const path of await strangers(tree, manifest)) {
    problems.push({ path, problem: "isn't in the manifest" });
  }
  const { wrongChunks, wrongPaths } = await wrongContent(tree, manifest);
  for (const path of wrongPaths) problems.push({ path, problem: "has other bytes" });
  const wrongBytes = wrongChunks.reduce((sum, at) => sum + (manifest.chunkBytes[at] ?? 0), 0);
  const sorted = problems.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return { problems: sorted, wrongChunks, wrongBytes };
}

async function problemOf(path: string, entry: ManifestEntry): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return "is missing";
  if (entry.type === "link") {
    if (!found.isSymbolicLink()) return "isn't a link";
    return (await readlink(path)) === entry.target ? undefined : "links elsewhere";
  }
  if (entry.type === "directory" ? !found.isDirectory() : !found.isFile()) {
    return `isn't a ${entry.type}`;
  }
  if (entry.type === "file" && found.size !== entry.bytes) {
    return `has ${found.size} bytes instead of ${entry.bytes}`;
  }
  const mode = found.mode & 0o7777;
  if (mode === entry.mode || mode === sealedMode(entry)) return undefined;
  return `has mode ${mode.toString(8)} instead of ${entry.mode.toString(8)}`;
}

/** What is in the tree and not in the manifest; a folder that isn't, with all below it, once. */
async function strangers(tree: string, manifest: Manifest): Promise<string[]> {
  const expected = new Set<string>();
  for (const { path } of manifest.entries) {
    for (let at = path; at !== "."; at = dirname(at)) expected.add(at);
  }
  const found: string[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const items = await readdir(join(tree, folder), { withFileTypes: true }).catch(() => []);
    for (const item of items) {
      const path = folder + item.name;
      if (!expected.has(path)) found.push(path);
      else if (item.isDirectory()) folders.push(`${path}/`);
    }
  }
  return found;
}

async function wrongContent(
  tree: string,
  manifest: Manifest,
): Promise<{ readonly wrongChunks: ChunkIndex[]; readonly wrongPaths: ReadonlySet<string> }> {
  const ranges = new FileRanges(manifest);
  const files = new TreeFiles(tree, ranges, "read");
  let wrongChunks: ChunkIndex[];
  try {
    wrongChunks = await findWrongChunks(manifest, { files, ranges }, manifest.chunkBytes.keys());
  } finally {
    await files.close();
  }
  const wrongFiles = wrongChunks.flatMap((chunk) =>
    ranges.rangesOf(chunk, 1).map(({ file }) => ranges.files[file]?.path ?? ""),
  );
  return { wrongChunks, wrongPaths: new Set(wrongFiles) };
}
