// The files of an artifact's tree on disk, opened as they are needed and a bounded number at a time.
// A file is never opened through a link in its own place; the folders above it were made by
// tree-layout.ts and belong to the agent.
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "@shoal/core/error";
import type { Bytes } from "@shoal/core/units";
import {
  directArtifactBytesMin,
  DirectIo,
  directBytesMin,
  openDirect,
  wholeBlocks,
} from "./direct-io.ts";
import type { FileRange, FileRanges } from "./file-ranges.ts";

/** Handles kept open; more may be open for a moment while many are in use. */
const handlesMax = 64;

interface OpenFile {
  readonly path: string;
  readonly handle: Promise<FileHandle>;
  /** For what goes past the page cache, once something did; undefined in it where that can't be done. */
  direct: Promise<FileHandle | undefined> | undefined;
  usersCount: number;
}

export class TreeFiles {
  readonly #tree: string;
  readonly #ranges: FileRanges;
  readonly #access: "read" | "write";
  readonly #flags: number;
  /** Undefined when all goes through the page cache. */
  #direct: DirectIo | undefined;
  /** By file, the one used last at the end. */
  readonly #open: Map<number, OpenFile> = new Map();
  /** Zero from `close` on: what was in use then is closed when it isn't any more. */
  #keptMax: number = handlesMax;

  /** `isDirect`: long runs go past the page cache, where the file system can; unless given, by the artifact's size. */
  constructor(
    tree: string,
    ranges: FileRanges,
    access: "read" | "write",
    given: { readonly isDirect?: boolean } = {},
  ) {
    this.#tree = tree;
    this.#ranges = ranges;
    this.#access = access;
    const bytes = ranges.bytesOf(0, ranges.chunksCount);
    this.#direct = (given.isDirect ?? bytes >= directArtifactBytesMin) ? new DirectIo() : undefined;
    this.#flags =
      (access === "read" ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NOFOLLOW;
  }

  /** Fills `bytes` from the ranges. Throws `ENODATA` as a system would when a file is too short. */
  async read(
    ranges: readonly FileRange[],
    bytes: Uint8Array,
    each?: (file: number, handle: FileHandle) => Promise<void>,
  ): Promise<void> {
    for (const { file, offset, start, bytes: length } of ranges) {
      const part = bytes.subarray(start, start + length);
      await this.#with(file, async (opened) => {
        const handle = await opened.handle;
        await each?.(file, handle);
        if (length >= directBytesMin && (await this.#readPast(opened, part, offset))) return;
        await readAt(handle, part, offset);
      });
    }
  }

  async write(ranges: readonly FileRange[], bytes: Uint8Array): Promise<void> {
    for (const { file, offset, start, bytes: length } of ranges) {
      const part = bytes.subarray(start, start + length);
      await this.#with(file, async (opened) => {
        const handle = await opened.handle;
        const blocks = this.#direct === undefined ? undefined : wholeBlocks(offset, length);
        if (blocks === undefined || !(await this.#writePast(opened, part, offset, blocks))) {
          await writeAt(handle, part, offset);
          return;
        }
        await writeAt(handle, part.subarray(0, blocks.start - offset), offset);
        await writeAt(handle, part.subarray(blocks.end - offset), blocks.end);
      });
    }
  }

  /** Works on a file's handle, which stays open at least that long. */
  async use<Result>(file: number, work: (handle: FileHandle) => Promise<Result>): Promise<Result> {
    return this.#with(file, async ({ handle }) => work(await handle));
  }

  async #with<Result>(file: number, work: (opened: OpenFile) => Promise<Result>): Promise<Result> {
    const opened = this.#take(file);
    try {
      return await work(opened);
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
    await closeFile(opened);
  }

  /** Closes all files: those that are in use as soon as they aren't. */
  async close(): Promise<void> {
    this.#keptMax = 0;
    await this.#closeIdle();
  }

  /** False when it can't be done: then nothing is written like that any more. */
  async #writePast(
    opened: OpenFile,
    part: Uint8Array,
    offset: Bytes,
    { start, end }: { readonly start: Bytes; readonly end: Bytes },
  ): Promise<boolean> {
    const direct = await this.#openPast(opened);
    const blocks = part.subarray(start - offset, end - offset);
    if (direct === undefined || (await direct.io.write(direct.handle, blocks, start))) {
      return direct !== undefined;
    }
    this.#direct = undefined;
    return false;
  }

  /** False when it can't be done; then it is tried through the page cache, which says what is wrong. */
  async #readPast(opened: OpenFile, part: Uint8Array, offset: Bytes): Promise<boolean> {
    const direct = await this.#openPast(opened);
    return direct !== undefined && direct.io.read(direct.handle, part, offset);
  }

  async #openPast(
    opened: OpenFile,
  ): Promise<{ readonly io: DirectIo; readonly handle: FileHandle } | undefined> {
    const io = this.#direct;
    if (io === undefined) return undefined;
    const opening = (opened.direct ??= openDirect(
      join(this.#tree, opened.path),
      this.#access === "write",
    ));
    // A file that couldn't be opened is tried again next time.
    opening.catch(() => (opened.direct = undefined));
    const handle = await opening;
    if (handle === undefined) this.#direct = undefined;
    return handle === undefined ? undefined : { io, handle };
  }

  #take(file: number): OpenFile {
    const entry = this.#ranges.files[file];
    assert(entry !== undefined, `no file ${file}`);
    let opened = this.#open.get(file);
    if (opened === undefined) {
      const { path } = entry;
      const handle = open(join(this.#tree, path), this.#flags);
      // A file that couldn't be opened is tried again next time.
      handle.catch(() => this.#open.delete(file));
      opened = { path, handle, direct: undefined, usersCount: 0 };
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
      closing.push(closeFile(opened));
    }
    await Promise.all(closing);
  }
}

async function closeFile({ handle, direct }: OpenFile): Promise<void> {
  await (await direct?.catch(() => undefined))?.close();
  await (await handle).close();
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

async function readAt(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) {
      const error = new Error("a file is shorter than it should be");
      throw Object.assign(error, { code: "ENODATA" });
    }
    done += bytesRead;
  }
}
