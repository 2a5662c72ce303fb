// The files of an artifact's tree on disk, opened as they are needed and a bounded number at a time.
// A file is never opened through a link in its own place; the folders above it were made by
// tree-layout.ts and belong to the agent.
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "@shoal/core/error";
import type { FileRange, FileRanges } from "./file-ranges.ts";

/** Handles kept open; more may be open for a moment while many are in use. */
const handlesMax = 64;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  usersCount: number;
}

export class TreeFiles {
  readonly #tree: string;
  readonly #ranges: FileRanges;
  readonly #flags: number;
  /** By file, the one used last at the end. */
  readonly #open: Map<number, OpenFile> = new Map();
  /** Zero from `close` on: what was in use then is closed when it isn't any more. */
  #keptMax: number = handlesMax;

  constructor(tree: string, ranges: FileRanges, access: "read" | "write") {
    this.#tree = tree;
    this.#ranges = ranges;
    this.#flags =
      (access === "read" ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NOFOLLOW;
  }

  /** Fills `bytes` from the ranges. Throws `ENODATA` as a system would when a file is too short. */
  async read(
    ranges: readonly FileRange[],
    bytes: Uint8Array,
    each?: (file: number, handle: FileHandle) => Promise<void>,
  ): Promise<void> {
    for (const range of ranges) {
      await this.use(range.file, async (handle) => {
        await each?.(range.file, handle);
        for (let done = 0; done < range.bytes;) {
          const { bytesRead } = await handle.read(
            bytes,
            range.start + done,
            range.bytes - done,
            range.offset + done,
          );
          if (bytesRead === 0)
            throw Object.assign(new Error("a file is shorter than it should be"), {
              code: "ENODATA",
            });
          done += bytesRead;
        }
      });
    }
  }

  async write(ranges: readonly FileRange[], bytes: Uint8Array): Promise<void> {
    for (const range of ranges) {
      await this.use(range.file, async (handle) => {
        for (let done = 0; done < range.bytes;) {
          const { bytesWritten } = await handle.write(
            bytes,
            range.start + done,
            range.bytes - done,
            range.offset + done,
          );
          done += bytesWritten;
        }
      });
    }
  }

  /** Works on a file's handle, which stays open at least that long. */
  async use<Result>(file: number, work: (handle: FileHandle) => Promise<Result>): Promise<Result> {
    const opened = this.#take(file);
    try {
      return await work(await opened.handle);
    } finally {
      opened.usersCount -= 1;
      await this.#closeIdle();
    }
  }

  /** Closes a file whose name is about to stand for another; nobody may be using it. */
  async forget(file: number): Promise<void> {
    const opened = this.#open.get(file);
    if (opened === undefined) return;
    assert(opened.usersCount === 0, "a file that is forgotten isn't used");
    this.#open.delete(file);
    await opened.handle.then((handle) => handle.close());
  }

  /** Closes all files: those that are in use as soon as they aren't. */
  async close(): Promise<void> {
    this.#keptMax = 0;
    await this.#closeIdle();
  }

  #take(file: number): OpenFile {
    const entry = this.#ranges.files[file];
    assert(entry !== undefined, `no file ${file}`);
    let opened = this.#open.get(file);
    if (opened === undefined) {
      const handle = open(join(this.#tree, entry.path), this.#flags);
      // A file that couldn't be opened is tried again next time.
      handle.catch(() => this.#open.delete(file));
      opened = { handle, usersCount: 0 };
    } else {
      this.#open.delete(file);
    }
    this.#open.set(file, opened);
    opened.usersCount += 1;
    return opened;
  }

  async #closeIdle(): Promise<void> {
    if (this.#open.size <= this.#keptMax) return;
    const closing: Promise<void>[] = [];
    for (const [file, opened] of this.#open) {
      if (this.#open.size <= this.#keptMax) break;
      if (opened.usersCount > 0) continue;
      this.#open.delete(file);
      closing.push(opened.handle.then((handle) => handle.close()));
    }
    await Promise.all(closing);
  }
}
