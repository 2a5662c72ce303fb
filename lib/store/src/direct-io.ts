// Reads and writes past the page cache. An artifact is as large as the memory of its host, and its bytes are used
// once or twice before it runs: in the page cache they would drive out what the host's programs need,
// and each fresh page costs the processor more than all else that is done with its bytes (figures in
// docs/decisions/0006). The system wants whole blocks, in memory at a block's boundary: what a run that is
// written has beyond whole blocks goes through the page cache, and the two never meet in one page; of a run
// that is read the blocks around it are read whole.
//
// Not every file system can do it: then all goes through the page cache.
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { chunkBytesMax } from "@shoal/core/limits";
import { kibibyte, mebibyte, type Bytes } from "@shoal/core/units";
import { BoundedPool } from "./bounded-pool.ts";
import { errorCode } from "./durable-file.ts";

/** At least a page of the system, which may be that large where it isn't x86. */
export const blockBytes: Bytes = process.arch === "x64" ? 4 * kibibyte : 64 * kibibyte;
/** Shorter ones aren't worth two writes beside them. */
export const directBytesMin = 128 * kibibyte;
/** Smaller artifacts go through the page cache: they drive nothing out of it. */
export const directArtifactBytesMin: Bytes = 64 * mebibyte;
/** As many as the runtime has threads for files. */
const lanesMax = 4;
const bytesAtOnce: Bytes = chunkBytesMax;

/** The whole blocks within a run of bytes of a file; undefined when they are too few. */
export function wholeBlocks(
  offset: Bytes,
  bytes: Bytes,
): { readonly start: Bytes; readonly end: Bytes } | undefined {
  const start = Math.ceil(offset / blockBytes) * blockBytes;
  const end = Math.floor((offset + bytes) / blockBytes) * blockBytes;
  return end - start < directBytesMin ? undefined : { start, end };
}

/** Undefined where the file system doesn't know such a thing. */
export async function openDirect(path: string, mayWrite: boolean): Promise<FileHandle | undefined> {
  try {
    const access = mayWrite ? constants.O_RDWR : constants.O_RDONLY;
    return await open(path, access | constants.O_NOFOLLOW | constants.O_DIRECT);
  } catch (error) {
    if (isUnable(error)) return undefined;
    throw error;
  }
}

export class DirectIo {
  /** Memory at a page's boundary, used again and again: a few buffers, made when they are needed. */
  readonly #buffers: BoundedPool<Uint8Array> = new BoundedPool(lanesMax, makeBuffer);

  /** Writes whole blocks. Resolves false, having written nothing that counts, where that can't be done. */
  async write(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<boolean> {
    if (beginsAtBlock(bytes)) return writeBlocks(handle, bytes, offset);
    const buffer = await this.#buffers.take();
    try {
      for (let done = 0; done < bytes.length; done += bytesAtOnce) {
        const part = bytes.subarray(done, done + bytesAtOnce);
        buffer.set(part);
        const blocks = buffer.subarray(0, part.length);
        if (!(await writeBlocks(handle, blocks, offset + done))) return false;
      }
      return true;
    } finally {
      this.#buffers.give(buffer);
    }
  }

  /** Fills `bytes`. Resolves false where that can't be done, also when the file is too short. */
  async read(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<boolean> {
    const buffer = await this.#buffers.take();
    try {
      for (let done = 0; done < bytes.length;) {
        const part = bytes.subarray(done, done + bytesAtOnce);
        const start = Math.floor((offset + done) / blockBytes) * blockBytes;
        const skipped = offset + done - start;
        const length = Math.ceil((skipped + part.length) / blockBytes) * blockBytes;
        const { bytesRead } = await handle.read(buffer, 0, length, start);
        // Fewer at the end of the file.
        if (bytesRead < skipped + part.length) return false;
        part.set(buffer.subarray(skipped, skipped + part.length));
        done += part.length;
      }
      return true;
    } catch (error) {
      if (isUnable(error)) return false;
      throw error;
    } finally {
      this.#buffers.give(buffer);
    }
  }
}

/** One that could grow begins at a page's boundary; others of this size don't. */
function makeBuffer(): Uint8Array {
  const byteLength = bytesAtOnce + 2 * blockBytes;
  return new Uint8Array(new ArrayBuffer(byteLength, { maxByteLength: byteLength }));
}

/** Memory that could grow begins at a page's boundary; of other memory nobody can tell. */
function beginsAtBlock({ buffer, byteOffset }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer && buffer.resizable && byteOffset % blockBytes === 0;
}

async function writeBlocks(handle: FileHandle, bytes: Uint8Array, offset: Bytes): Promise<boolean> {
  try {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.length - done;
      const { bytesWritten } = await handle.write(bytes, done, rest, offset + done);
      // A write that stopped within a block can't go on from there.
      const written = Math.floor(bytesWritten / blockBytes) * blockBytes;
      if (written === 0) return false;
      done += written;
    }
    return true;
  } catch (error) {
    if (isUnable(error)) return false;
    throw error;
  }
}

function isUnable(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EINVAL" || code === "EOPNOTSUPP" || code === "ENOTSUP";
}
