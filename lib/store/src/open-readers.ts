// Files that are read again and again, kept open: a bounded number, and none for long. Their content must never
// change, because who reads a kept one doesn't look at its name again.
import { open, type FileHandle } from "node:fs/promises";
import { secondMs } from "@shoal/core/units";

/** Packs of an artifact are read in no order: with fewer than it has, most reads would open one. These are of 4 GiB. */
const keptMax = 256;
const keptMs = 10 * secondMs;

interface Reader {
  readonly opening: Promise<FileHandle>;
  usersCount: number;
  /** To be closed by its last user. */
  isForgotten: boolean;
}

export class OpenReaders {
  /** By path, the one used last at the end. */
  readonly #readers: Map<string, Reader> = new Map();
  #sweep: NodeJS.Timeout | undefined;

  /** Rejects when the file can't be opened. */
  async open(path: string): Promise<{ readonly handle: FileHandle; readonly release: () => void }> {
    const reader = this.#readers.get(path) ?? {
      opening: open(path, "r"),
      usersCount: 0,
      isForgotten: false,
    };
    this.#readers.delete(path);
    this.#readers.set(path, reader);
    reader.usersCount += 1;
    const release = (): void => {
      reader.usersCount -= 1;
      if (reader.isForgotten) close(reader);
      else this.#closeSurplus();
    };
    try {
      return { handle: await reader.opening, release };
    } catch (error) {
      if (this.#readers.get(path) === reader) this.#readers.delete(path);
      throw error;
    }
  }

  /** The file is about to be removed. */
  forget(path: string): void {
    const reader = this.#readers.get(path);
    if (reader === undefined) return;
    this.#readers.delete(path);
    reader.isForgotten = true;
    close(reader);
  }

  #closeSurplus(): void {
    for (const path of this.#readers.keys()) {
      if (this.#readers.size <= keptMax) break;
      this.forget(path);
    }
    if (this.#sweep !== undefined) {
      this.#sweep.refresh();
      return;
    }
    this.#sweep = setTimeout(() => {
      for (const path of [...this.#readers.keys()]) this.forget(path);
    }, keptMs).unref();
  }
}

/** Nobody closes a file that is read: its last reader does. */
function close(reader: Reader): void {
  if (reader.usersCount > 0) return;
  reader.opening.then((handle) => handle.close()).catch(() => undefined);
}
