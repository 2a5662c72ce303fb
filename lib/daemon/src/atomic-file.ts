// Small state files that survive a kill at any instruction: a reader sees the old content or the
// new, never a mixture, and after a write resolves the new one survives a power cut. Reads are
// bounded, because a file on disk is outside input too.
import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ShoalError } from "@shoal/core/error";

export interface WriteOptions {
  /** Permission bits; 0o600 when absent. */
  readonly mode?: number;
}

/** Replaces a file's content: temporary file beside it, fsync, rename, fsync of the folder. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  await replace(
    path,
    `${path}.${randomBytes(6).toString("hex")}.tmp`,
    content,
    options.mode ?? 0o600,
  );
}

/**
 * A whole file, or undefined when there is none.
 * @throws ShoalError `file_too_large` beyond `bytesMax`; what the file system says otherwise.
 */
export async function readFileBounded(
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    // One byte more than allowed: tells a file that is too long from one that just fits, also when it grows meanwhile.
    const { size } = await file.stat();
    const buffer = new Uint8Array(Math.min(size, bytesMax) + 1);
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) return buffer.subarray(0, filled);
      filled += bytesRead;
    }
    throw new ShoalError(
      "file_too_large",
      `${path} is larger than ${bytesMax} bytes or is being written`,
      {
        blame: "environment",
      },
    );
  } finally {
    await file.close();
  }
}

/**
 * One state file of one process: writes are queued, so that the last call's content stays, and a
 * temporary file that a kill left behind is overwritten by the next write.
 */
export class StateFile {
  readonly path: string;
  readonly #bytesMax: number;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, bytesMax: number) {
    this.path = path;
    this.#bytesMax = bytesMax;
  }

  read(): Promise<Uint8Array | undefined> {
    return readFileBounded(this.path, this.#bytesMax);
  }

  async write(content: string | Uint8Array): Promise<void> {
    const write = this.#last.then(() => replace(this.path, `${this.path}.tmp`, content, 0o600));
    this.#last = write.catch(() => undefined); // The caller of that write has the error.
    await write;
  }
}

async function replace(
  path: string,
  temporary: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  try {
    const file = await open(temporary, "w", mode);
    try {
      await file.chmod(mode); // The umask, or a leftover file, may have given it another mode.
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes renames, creations and removals in a folder durable. */
export async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
