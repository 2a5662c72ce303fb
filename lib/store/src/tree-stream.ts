// The bytes of a scanned tree's files, one after another. The tree must stand still; a file that was
// changed, or exchanged for something else, since it was scanned is noticed.
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { FileEntry } from "@shoal/core/content/manifest";
import { quote } from "@shoal/core/content/path-safety";
import { assert, ShoalError } from "@shoal/core/error";
import type { TreeScan } from "./tree-scan.ts";

interface OpenFile {
  readonly entry: FileEntry;
  readonly handle: FileHandle;
  readonly mtimeMs: number;
  /** Bytes that were read of it. */
  read: number;
}

export class TreeStream {
  readonly #root: string;
  readonly #scan: TreeScan;
  readonly #files: readonly FileEntry[];
  #next = 0;
  #file: OpenFile | undefined;

  constructor(root: string, scan: TreeScan) {
    this.#root = root;
    this.#scan = scan;
    this.#files = scan.entries.filter((entry) => entry.type === "file");
  }

  /**
   * Fills start … end - 1 of the buffer with what comes next; `isLast` says that this is the stream's
   * end. One call at a time. Throws `tree_changed` when a file isn't what it was when scanned.
   */
  async read(buffer: Uint8Array, start: number, end: number, isLast: boolean): Promise<void> {
    let at = start;
    while (at < end) {
      this.#file ??= await this.#openNext();
      const { entry, handle } = this.#file;
      const wanted = Math.min(end - at, entry.bytes - this.#file.read);
      const { bytesRead } = await handle.read(buffer, at, wanted, this.#file.read);
      if (bytesRead === 0 && wanted > 0) throw changed(entry);
      at += bytesRead;
      this.#file.read += bytesRead;
      if (this.#file.read === entry.bytes) await this.#closeFile();
    }
    // Files of no bytes at the end are looked at, too.
    while (isLast && this.#next < this.#files.length) {
      this.#file = await this.#openNext();
      await this.#closeFile();
    }
  }

  /** Closes the file that is open; no read may be under way. */
  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  async #openNext(): Promise<OpenFile> {
    const entry = this.#files[this.#next];
    this.#next += 1;
    assert(entry !== undefined, "the files of a scan are as long as it says");
    const path = this.#scan.kind === "file" ? this.#root : join(this.#root, entry.path);
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(path, flags).catch((cause: unknown) => {
      throw changed(entry, cause);
    });
    const found = await handle.stat();
    const file = { entry, handle, mtimeMs: found.mtimeMs, read: 0 };
    if (found.isFile() && found.size === entry.bytes) return file;
    await handle.close();
    throw changed(entry);
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      const found = await file.handle.stat();
      if (found.size !== file.entry.bytes || found.mtimeMs !== file.mtimeMs)
        throw changed(file.entry);
    } finally {
      await file.handle.close();
    }
  }
}

function changed(entry: FileEntry, cause?: unknown): ShoalError {
  return new ShoalError("tree_changed", `${quote(entry.path)} changed while it was read`, {
    blame: "environment",
    retryable: true,
    details: { path: entry.path },
    cause,
  });
}
