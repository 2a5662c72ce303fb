// Files that are there whole or not at all after a crash: write aside, fsync, move into place, fsync
// the folder. And the two fsyncs by themselves.
import { randomBytes } from "node:crypto";
import { link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

/** How `writeDurably` names what isn't finished; left ones may be removed when nobody writes. */
export const unfinishedPrefix = ".unfinished-";

/**
 * Replaces or creates a file. The unfinished one stands in `asideFolder` (the file's own folder
 * unless given), on the same file system. `ifAbsent` keeps a file that is there. Answers whether
 * it was written.
 */
export async function writeDurably(
  path: string,
  body: readonly Uint8Array[],
  options: {
    readonly ifAbsent?: boolean;
    readonly asideFolder?: string;
    readonly mode?: number;
    /** False when the caller syncs the folder afterwards. */
    readonly syncsFolder?: boolean;
  } = {},
): Promise<boolean> {
  const folder = dirname(path);
  const aside = join(
    options.asideFolder ?? folder,
    unfinishedPrefix + randomBytes(12).toString("hex"),
  );
  const handle = await open(aside, "wx", options.mode ?? 0o600);
  try {
    try {
      for (const part of body) await handle.writeFile(part);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.ifAbsent === true) {
      // A second name fails where a rename would replace.
      if (!(await linkUnlessThere(aside, path))) return false;
    } else {
      await rename(aside, path);
    }
  } finally {
    await unlink(aside).catch(ignoreMissing);
  }
  if (options.syncsFolder !== false) await syncFolder(folder);
  return true;
}

/** Makes names in a folder outlast a crash. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a folder and those above it, durably. */
export async function makeFolderDurably(folder: string, mode: number = 0o700): Promise<void> {
  const sync = await makeFolder(folder, mode);
  await sync();
}

/** Creates a folder and those above it; what it answers makes them outlast a crash. */
export async function makeFolder(folder: string, mode: number): Promise<() => Promise<void>> {
  const first = await mkdir(folder, { recursive: true, mode });
  return async () => {
    if (first === undefined) return;
    const top = dirname(first);
    for (let at = dirname(folder); at.length >= top.length; at = dirname(at)) {
      await syncFolder(at);
      if (at === top) return;
    }
  };
}

/** For `catch`: passes over "there is no such file", throws the rest. */
export function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) === "ENOENT") return undefined;
  throw error;
}

/** The code of a system error, as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

async function linkUnlessThere(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}
