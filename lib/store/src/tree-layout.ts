// Makes the folders, files and links of an artifact's tree, and looks whether they are as they should
// be. Never follows a link: what stands in the place of a folder or file is replaced if it isn't one.
// Links are made last, when nothing is written any more.
//
// On disk the tree is read-only: of the manifest's modes the read and execute bits are kept, and the
// owner can always read. The program can't change what is served to others.
import { constants, type Stats } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rm,
  symlink,
  unlink,
} from "node:fs/promises";
import { join } from "node:path";
import type { FileEntry, LinkEntry, Manifest, ManifestEntry } from "@shoal/core/content/manifest";
import { quote } from "@shoal/core/content/path-safety";
import { remoteError } from "@shoal/core/error";
import { artifactEntriesMax } from "@shoal/core/limits";
import { forEachInLanes } from "./bounded-lanes.ts";
import { errorCode, syncFolder } from "./durable-file.ts";

export interface TreeProblem {
  readonly path: string;
  /** What is wrong, as words. */
  readonly problem: string;
}

const lanesCount = 16;
/** Of the top folder, and of folders that the manifest doesn't list. */
const impliedFolderMode = 0o555;

/** The mode that a file or folder of this mode in the manifest has on disk. */
export function sealedMode(entry: Exclude<ManifestEntry, LinkEntry>): number {
  return (entry.mode & 0o555) | (entry.type === "directory" ? 0o500 : 0o400);
}

/**
 * Makes all folders, and all files with their full size. May be called again on a tree that is partly
 * there. Answers the positions of files that weren't there or had another size.
 */
export async function layOutTree(
  tree: string,
  manifest: Manifest,
  files: readonly FileEntry[],
): Promise<Set<number>> {
  const fresh = new Set<number>();
  for (const folder of ["", ...foldersOf(manifest).keys()]) await makeFolder(join(tree, folder));
  await forEachInLanes(files.entries(), lanesCount, async ([index, file]) => {
    if (await makeFile(join(tree, file.path), file.bytes)) fresh.add(index);
  });
  return fresh;
}

/** Makes the links, sets the final modes, and makes all names durable. */
export async function finishTree(tree: string, manifest: Manifest): Promise<void> {
  const folders = foldersOf(manifest);
  await forEachInLanes(manifest.entries, lanesCount, async (entry) => {
    if (entry.type === "link") await makeLink(join(tree, entry.path), entry.target);
    if (entry.type === "file") await chmod(join(tree, entry.path), sealedMode(entry));
  });
  // The deepest first: a folder must be writable until its content is as it should be.
  for (const [folder, mode] of [...folders].toReversed()) {
    await syncFolder(join(tree, folder));
    await chmod(join(tree, folder), mode);
  }
  await syncFolder(tree);
  await chmod(tree, impliedFolderMode);
}

/** Everything about names, types, sizes, modes and links that isn't as the manifest says. */
export async function checkTree(tree: string, manifest: Manifest): Promise<TreeProblem[]> {
  const problems: TreeProblem[] = [];
  const folders = foldersOf(manifest);
  const expected = new Set([...folders.keys(), ...manifest.entries.map(({ path }) => path)]);
  await forEachInLanes(manifest.entries, lanesCount, async (entry) => {
    const problem = await entryProblem(join(tree, entry.path), entry);
    if (problem !== undefined) problems.push({ path: entry.path, problem });
  });
  const unread = [""];
  for (let folder = unread.pop(); folder !== undefined; folder = unread.pop()) {
    const found = await readdir(join(tree, folder), { withFileTypes: true });
    for (const item of found) {
      const path = folder + item.name;
      if (!expected.has(path)) problems.push({ path, problem: "isn't in the manifest" });
      else if (item.isDirectory()) unread.push(`${path}/`);
    }
  }
  return problems;
}

/** Removes a tree although its folders are read-only. */
export async function removeTree(tree: string): Promise<void> {
  const unread = [tree];
  for (let folder = unread.pop(); folder !== undefined; folder = unread.pop()) {
    try {
      if (!(await lstat(folder)).isDirectory()) continue;
      await chmod(folder, 0o700);
      const found = await readdir(folder, { withFileTypes: true });
      for (const item of found) if (item.isDirectory()) unread.push(join(folder, item.name));
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }
  await rm(tree, { recursive: true, force: true });
}

/** Every folder and its mode on disk, also those that only stand in paths; the outer ones first. */
function foldersOf(manifest: Manifest): Map<string, number> {
  const folders = new Map<string, number>();
  for (const entry of manifest.entries) {
    // From the deepest up, until one that is known: its parents are, too.
    const above: string[] = [];
    for (
      let end = entry.path.lastIndexOf("/");
      end > 0;
      end = entry.path.lastIndexOf("/", end - 1)
    ) {
      const folder = entry.path.slice(0, end);
      if (folders.has(folder)) break;
      above.push(folder);
    }
    for (const folder of above.toReversed()) folders.set(folder, impliedFolderMode);
    if (entry.type === "directory") folders.set(entry.path, sealedMode(entry));
    // Long paths could imply thousands of folders each.
    if (folders.size > artifactEntriesMax) {
      throw remoteError(
        "manifest_invalid",
        `manifest refused: more than ${artifactEntriesMax} folders`,
      );
    }
  }
  return folders;
}

async function makeFolder(path: string): Promise<void> {
  const found = await lookAt(path);
  if (found?.isDirectory() === true) {
    await chmod(path, 0o700);
    return;
  }
  if (found !== undefined) await unlink(path);
  await mkdir(path, { mode: 0o700 });
}

/** Answers whether it is new or had another size. */
async function makeFile(path: string, bytes: number): Promise<boolean> {
  const found = await lookAt(path);
  if (found !== undefined && !found.isFile()) await rm(path, { recursive: true, force: true });
  else if (found !== undefined && (found.mode & 0o600) !== 0o600) await chmod(path, 0o600);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  try {
    const isFresh = found?.isFile() !== true || found.size !== bytes;
    if (isFresh) await handle.truncate(bytes);
    return isFresh;
  } finally {
    await handle.close();
  }
}

async function makeLink(path: string, target: string): Promise<void> {
  const found = await lookAt(path);
  if (found?.isSymbolicLink() === true && (await readlink(path)) === target) return;
  if (found !== undefined) await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

async function entryProblem(path: string, entry: ManifestEntry): Promise<string | undefined> {
  const found = await lookAt(path);
  if (found === undefined) return "is missing";
  if (entry.type === "link") {
    if (!found.isSymbolicLink()) return "isn't a link";
    const target = await readlink(path);
    return target === entry.target ? undefined : `points to ${quote(target)}`;
  }
  if (entry.type === "directory" ? !found.isDirectory() : !found.isFile())
    return `isn't a ${entry.type}`;
  if (entry.type === "file" && found.size !== entry.bytes) return `has ${found.size} bytes`;
  const mode = found.mode & 0o7777;
  return mode === sealedMode(entry) ? undefined : `has mode ${mode.toString(8)}`;
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
