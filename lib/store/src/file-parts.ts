// Reads runs of bytes of files, one after another, in the thread that calls: threads that cut and hash read for
// themselves, because a hop to libuv's threads and back costs more than most files take to be read. A file
// that isn't what it was when its tree was scanned is noticed, before and after it was read.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Bytes, Millis } from "@shoal/core/units";
import { errorCode } from "./durable-file.ts";

/** A run of bytes of one file, and what the file was when it was scanned. */
export interface FilePart {
  readonly path: string;
  readonly offset: Bytes;
  readonly bytes: Bytes;
  readonly fileBytes: Bytes;
  readonly mtimeMs: Millis;
}

/** A part that couldn't be read as it was scanned. */
export interface UnreadPart {
  readonly path: string;
  /** The code of the system's error; undefined when the file is simply another than it was. */
  readonly reason: string | undefined;
}

const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Fills the buffer from `start` on with the parts, whose paths are below `root`, one after another. Answers
 * the first that can't be had, or undefined when all is well. Waits for the disk.
 */
export function readParts(
  root: string,
  parts: readonly FilePart[],
  buffer: Uint8Array,
  start: number,
): UnreadPart | undefined {
  let at = start;
  for (const part of parts) {
    try {
      if (!readPart(root, part, buffer, at)) return { path: part.path, reason: undefined };
    } catch (error) {
      return { path: part.path, reason: errorCode(error) };
    }
    at += part.bytes;
  }
  return undefined;
}

function readPart(root: string, part: FilePart, buffer: Uint8Array, start: number): boolean {
  const handle = openSync(join(root, part.path), openFlags);
  try {
    if (!isUnchanged(handle, part)) return false;
    for (let done = 0; done < part.bytes;) {
      const read = readSync(handle, buffer, start + done, part.bytes - done, part.offset + done);
      if (read === 0) return false;
      done += read;
    }
    return isUnchanged(handle, part);
  } finally {
    closeSync(handle);
  }
}

function isUnchanged(handle: number, { fileBytes, mtimeMs }: FilePart): boolean {
  const found = fstatSync(handle);
  return found.isFile() && found.size === fileBytes && found.mtimeMs === mtimeMs;
}
