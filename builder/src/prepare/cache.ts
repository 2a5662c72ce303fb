// What prepare commands made, kept on the builder for the next build with the same lock files. Entries
// are folders below one that only the builder may enter: builds get copies (by reflink where the file
// system can), so that none can change what the next one gets. An entry appears and disappears by a
// rename, so that a kill leaves whole entries and litter, which the next start removes. All together
// are bounded in bytes; the least recently used go first. Used by one build at a time.
import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, readdir, rename, stat, statfs, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { builderDiskReserveBytes, checkoutMsMax, preparedRecordBytesMax } from "@shoal/core/limits";
import { readFileBounded, syncDirectory, writeFileAtomic } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { z } from "zod";
import { runProgram } from "@shoal/daemon/program";
import { diskBytes } from "../sandbox/usage-watch.ts";
import { removeTree } from "../workspace.ts";
import { notKept } from "./changes.ts";

/** The two folders of a workspace that a prepare can leave something in. */
export interface PreparedFolders {
  readonly source: string;
  readonly home: string;
}

/** Top-most paths that a prepare made, in each of the folders. */
export interface PreparedPaths {
  readonly source: readonly string[];
  readonly home: readonly string[];
  /** Sizes of all their files. */
  readonly bytes: number;
}

export interface PreparedCacheConfig {
  readonly folder: string;
  readonly bytesMax: number;
  readonly searchPath: string;
}

const places = ["source", "home"] as const;
const keyPattern = /^[0-9a-f]{64}$/;
const record = z.strictObject({
  format: z.literal("shoal.prepared/1"),
  source: z.array(z.string().min(1).max(4096)),
  home: z.array(z.string().min(1).max(4096)),
  /** On disk. */
  diskBytes: z.int().nonnegative(),
});
type PreparedRecord = z.infer<typeof record>;

export class PreparedCache {
  readonly #config: PreparedCacheConfig;
  readonly #log: Log;

  private constructor(config: PreparedCacheConfig, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  /** Opens the folder and removes what a kill left half-made. */
  static async open(
    deps: { readonly log: Log },
    config: PreparedCacheConfig,
  ): Promise<PreparedCache> {
    const cache = new PreparedCache(config, deps.log);
    await mkdir(config.folder, { recursive: true, mode: 0o700 });
    await chmod(config.folder, 0o700);
    for (const name of await readdir(config.folder)) {
      if (!keyPattern.test(name)) await removeTree(join(config.folder, name), config.searchPath);
    }
    await cache.#makeRoom(0);
    return cache;
  }

  /** Copies an entry into a workspace; false when there is none, or it doesn't fit this checkout. */
  async restore(key: string, folders: PreparedFolders): Promise<boolean> {
    const entry = join(this.#config.folder, key);
    const known = await this.#read(entry);
    if (known === null) return false;
    for (const place of places) {
      for (const path of known[place]) if (!(await isFree(folders[place], path))) return false;
    }
    for (const place of places) {
      await this.#copy(join(entry, place), folders[place], known[place]);
    }
    const now = new Date();
    await utimes(join(entry, "record.json"), now, now);
    return true;
  }

  /**
   * Keeps a copy of what a prepare made.
   * @throws ShoalError `prepared_not_kept` when there is no room for it.
   */
  async keep(key: string, folders: PreparedFolders, paths: PreparedPaths): Promise<void> {
    const { folder, bytesMax, searchPath } = this.#config;
    if (paths.bytes > bytesMax)
      throw notKept(`it has ${paths.bytes} bytes, and ${bytesMax} is all`);
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < paths.bytes + builderDiskReserveBytes)
      throw notKept("the disk is too full");
    const making = join(folder, `new-${randomBytes(8).toString("hex")}`);
    try {
      await mkdir(making, { mode: 0o700 });
      for (const place of places) {
        await mkdir(join(making, place), { mode: 0o700 });
        await this.#copy(folders[place], join(making, place), paths[place]);
      }
      const bytes = await diskBytes(making, searchPath);
      const kept: PreparedRecord = {
        format: "shoal.prepared/1",
        source: [...paths.source],
        home: [...paths.home],
        diskBytes: bytes,
      };
      await writeFileAtomic(join(making, "record.json"), JSON.stringify(kept));
      await this.#makeRoom(bytes);
      // A power cut after the rename mustn't leave an entry with holes.
      await this.#run("sync", ["--file-system", "--", making]);
      await this.#remove(key);
      await rename(making, join(folder, key));
      await syncDirectory(folder);
    } finally {
      await removeTree(making, searchPath);
    }
  }

  /** Removes the least recently used until `bytes` more fit. */
  async #makeRoom(bytes: number): Promise<void> {
    const { folder, bytesMax } = this.#config;
    if (bytes > bytesMax) throw notKept(`it takes ${bytes} bytes of disk, and ${bytesMax} is all`);
    const entries: { key: string; usedMs: number; diskBytes: number }[] = [];
    for (const key of await readdir(folder)) {
      if (!keyPattern.test(key)) continue;
      const known = await this.#read(join(folder, key));
      if (known === null) continue;
      const { mtimeMs } = await stat(join(folder, key, "record.json"));
      entries.push({ key, usedMs: mtimeMs, diskBytes: known.diskBytes });
    }
    let total = entries.reduce((sum, entry) => sum + entry.diskBytes, bytes);
    for (const entry of entries.toSorted((a, b) => a.usedMs - b.usedMs)) {
      if (total <= bytesMax) return;
      this.#log.info({ key: entry.key, bytes: entry.diskBytes }, "prepared result removed");
      await this.#remove(entry.key);
      total -= entry.diskBytes;
    }
  }

  /** An entry's record; one that can't be read is removed with its entry. */
  async #read(entry: string): Promise<PreparedRecord | null> {
    try {
      const bytes = await readFileBounded(join(entry, "record.json"), preparedRecordBytesMax);
      if (bytes !== undefined) return record.parse(JSON.parse(new TextDecoder().decode(bytes)));
      if ((await lstat(entry).catch(() => undefined)) === undefined) return null;
    } catch (error) {
      this.#log.warn({ error, entry }, "a prepared result can't be read");
    }
    await removeTree(entry, this.#config.searchPath);
    return null;
  }

  async #remove(key: string): Promise<void> {
    const { folder, searchPath } = this.#config;
    const going = join(folder, `old-${randomBytes(8).toString("hex")}`);
    try {
      await rename(join(folder, key), going);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    await removeTree(going, searchPath);
  }

  /** Links stay links, hard links stay hard among each other; no attributes beyond modes and times. */
  async #copy(from: string, to: string, paths: readonly string[]): Promise<void> {
    const flags = ["-dR", "--preserve=mode,ownership,timestamps,links", "--reflink=auto"];
    for (const path of paths) {
      await mkdir(join(to, dirname(path)), { recursive: true });
      await this.#run("cp", [...flags, "-T", "--", join(from, path), join(to, path)]);
    }
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const environment = { PATH: this.#config.searchPath, LC_ALL: "C" };
    const end = await runProgram(program, args, { environment, timeoutMs: checkoutMsMax });
    if (end.exitCode === 0) return;
    const said = end.stderr.trim().slice(0, 300);
    throw new ShoalError("workspace_failed", `${program} failed: ${end.type} ${said}`, {
      blame: "environment",
      retryable: true,
    });
  }
}

/**
 * Whether a path can be made: nothing is there, and its parents are folders. A commit could have put a
 * link there, and the copy is made by the builder itself, perhaps as root.
 */
async function isFree(folder: string, path: string): Promise<boolean> {
  const parts = path.split("/");
  if (path.startsWith("/") || parts.some((part) => part === "" || part === "." || part === "..")) {
    return false;
  }
  for (let count = 1; count < parts.length; count += 1) {
    const parent = await lstat(join(folder, ...parts.slice(0, count))).catch(() => undefined);
    if (parent?.isDirectory() !== true) return false;
  }
  return (await lstat(join(folder, path)).catch(() => undefined)) === undefined;
}
