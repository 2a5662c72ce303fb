// The bytes of a scanned tree's files as one stream: which parts of which files come next. Reads nothing;
// file-parts.ts does.
import { dirname } from "node:path";
import type { FileEntry } from "@shoal/core/content/manifest";
import { assert } from "@shoal/core/error";
import type { Bytes, Millis } from "@shoal/core/units";
import type { FilePart } from "./file-parts.ts";
import type { TreeScan } from "./tree-scan.ts";

interface ScannedFile {
  readonly entry: FileEntry;
  readonly mtimeMs: Millis;
}

export class TreeStream {
  /** What the parts' paths are below. */
  readonly root: string;
  readonly #files: readonly ScannedFile[];
  #next = 0;
  /** Bytes of the next file that were taken. */
  #taken: Bytes = 0;

  constructor(root: string, scan: TreeScan) {
    this.root = scan.kind === "file" ? dirname(root) : root;
    this.#files = scan.entries.flatMap((entry, index) =>
      entry.type === "file" ? [{ entry, mtimeMs: scan.mtimesMs[index] ?? 0 }] : [],
    );
  }

  /** The parts that make up the next so many bytes, with what follows of files without bytes if it `isLast`. */
  take(bytes: Bytes, isLast: boolean): readonly FilePart[] {
    const parts: FilePart[] = [];
    let left = bytes;
    while (left > 0 || (isLast && this.#next < this.#files.length)) {
      const file = this.#files[this.#next];
      assert(file !== undefined, "the files of a scan are as long as it says");
      const { path, bytes: fileBytes } = file.entry;
      const partBytes = Math.min(left, fileBytes - this.#taken);
      parts.push({
        path,
        offset: this.#taken,
        bytes: partBytes,
        fileBytes,
        mtimeMs: file.mtimeMs,
      });
      left -= partBytes;
      this.#taken += partBytes;
      if (this.#taken < fileBytes) continue;
      this.#next += 1;
      this.#taken = 0;
    }
    return parts;
  }
}
