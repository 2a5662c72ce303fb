// Writes past the page cache. An artifact is as large as the memory of its host, and its bytes are used
// once or twice before it runs: in the page cache they would drive out what the host's programs need,
// and each fresh page costs the processor more than all else that is done with its bytes (figures in
// docs/decisions/0006). The system wants whole blocks from memory at a block's boundary; what a run
// has beyond whole blocks goes through the page cache. The two never meet in one page.
//
// Not every file system can do it: then all goes through the page cache.
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { chunkBytesMax } from "@shoal/core/limits";
import { kibibyte, type Bytes } from "@shoal/core/units";
import { errorCode } from "./durable-file.ts";

/** At least a page of the system, which may be that large where it isn't x86. */
export const blockBytes: Bytes = process.arch === "x64" ? 4 * kibibyte : 64 * kibibyte;
/** Shorter ones aren't worth two writes beside them. */
const directBytesMin = 128 * kibibyte;
const lanesMax = 4;

/** The whole blocks of a run of bytes of a file; undefined when they are too few. */
export function wholeBlocks(
  offset: Bytes,
  bytes: Bytes,
): { readonly start: Bytes; readonly end: Bytes } | undefined {
  const start = Math.ceil(offset / blockBytes) * blockBytes;
  const end = Math.floor((offset + bytes) / blockBytes) * blockBytes;
  return end - start < directBytesMin ? undefined : { start, end };
}

/** Undefined where the file system doesn't know such a thing. */
export async function openDirect(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_DIRECT);
  } catch (error) {
    if (isUnable(error)) return undefined;
    throw error;
  }
}

export class DirectWrites {
  /** Memory at a page's boundary, used again and again: a few buffers, made when they are needed. */
  readonly #free: Uint8Array[] = [];
  #lanesCount = 0;
  readonly #waiting: ((buffer: Uint8Array) => void)[] = [];

  /** Writes whole blocks. Resolves false, having written nothing that counts, where that can't be done. */
  async write(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<boolean> {
    const buffer = await this.#take();
    try {
      for (let done = 0; done < bytes.length;) {
        const part = bytes.subarray(done, done + buffer.length);
        buffer.set(part);
        const { bytesWritten } = await handle.write(buffer, 0, part.length, offset + done);
        // A write that stopped within a block can't go on from there.
        const written = Math.floor(bytesWritten / blockBytes) * blockBytes;
        if (written === 0) return false;
        done += written;
      }
      return true;
    } catch (error) {
      if (isUnable(error)) return false;
      throw error;
    } finally {
      this.#give(buffer);
    }
  }

  async #take(): Promise<Uint8Array> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#lanesCount < lanesMax) {
      this.#lanesCount += 1;
      // One that could grow begins at a page's boundary; others of this size don't.
      return new Uint8Array(new ArrayBuffer(chunkBytesMax, { maxByteLength: chunkBytesMax }));
    }
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    this.#waiting.push(resolve);
    return promise;
  }

  #give(buffer: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}

function isUnable(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EINVAL" || code === "EOPNOTSUPP" || code === "ENOTSUP";
}
