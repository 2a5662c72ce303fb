// What a command did to a folder: the top-most paths that it made, and whether it changed or removed
// something that was there. Looks at the tree without following links, and is only right while nothing
// writes to it.
import type { BigIntStats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { preparedEntriesMax } from "@shoal/core/limits";

/** Everything in a folder, by path from it; a path's mark differs when it was written to. */
export type Snapshot = ReadonlyMap<string, string>;

export interface Changes {
  /** Paths that weren't there, without those inside others; sorted. */
  readonly made: readonly string[];
  /** Sizes of all files in them. */
  readonly bytes: number;
  /** One path that was there and isn't what it was any more; null when there is none. */
  readonly altered: string | null;
}

/** @throws ShoalError `prepared_not_kept` for what can't be looked through. */
export async function takeSnapshot(folder: string): Promise<Snapshot> {
  const found = new Map<string, string>();
  await walk(folder, (path, stats) => {
    found.set(path, markOf(stats));
  });
  return found;
}

/** @throws ShoalError `prepared_not_kept` for what can't be kept: devices, sockets, too many paths. */
export async function findChanges(folder: string, before: Snapshot): Promise<Changes> {
  const made: string[] = [];
  const unseen = new Set(before.keys());
  let bytes = 0;
  let altered: string | null = null;
  await walk(folder, (path, stats) => {
    const mark = before.get(path);
    unseen.delete(path);
    if (mark !== undefined) {
      if (mark !== markOf(stats)) altered ??= path;
      return;
    }
    if (!stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink()) {
      throw notKept(`${path} is neither a file, a folder nor a link`);
    }
    bytes += Number(stats.size);
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (parent === "" || before.has(parent)) made.push(path);
  });
  for (const path of unseen) altered ??= path;
  return { made: made.toSorted(), bytes, altered };
}

export function notKept(why: string): ShoalError {
  return new ShoalError("prepared_not_kept", why, { blame: "remote" });
}

/** Parents come before what is in them. git's own folder is left out: git rewrites its index as it likes. */
async function walk(
  folder: string,
  visit: (path: string, stats: BigIntStats) => void,
): Promise<void> {
  const folders = [""];
  let count = 0;
  for (let parent = folders.pop(); parent !== undefined; parent = folders.pop()) {
    for (const name of await readdir(join(folder, parent))) {
      const path = parent === "" ? name : `${parent}/${name}`;
      if (path === ".git") continue;
      if ((count += 1) > preparedEntriesMax) {
        throw notKept(`there are more than ${preparedEntriesMax} files and folders`);
      }
      const stats = await lstat(join(folder, path), { bigint: true });
      visit(path, stats);
      if (stats.isDirectory()) folders.push(path);
    }
  }
}

/** A folder is only its kind: what is in it has marks of its own. */
function markOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return "folder";
  return `${stats.mode} ${stats.size} ${stats.ino} ${stats.mtimeNs} ${stats.ctimeNs}`;
}
