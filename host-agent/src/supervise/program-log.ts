// A program's output goes straight into a file, so that it needs no agent to read a pipe. While an
// agent lives the file is bounded: its newest part is set aside and it is truncated; the program
// appends, so it goes on at the start. What is written between the two may be lost.
import { constants } from "node:fs";
import { mkdir, open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { programLogBytesMax } from "@shoal/core/limits";
import { mebibyte } from "@shoal/core/units";

const copyBytes = 1 * mebibyte;
const lastLineBytes = 4096;

/** Opens the log for a program to write to; the caller closes its own copy of the descriptor. */
export async function openProgramLog(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  return open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o640);
}

/** Keeps the newest `bytesMax` of a log that has grown beyond that in `<path>.1`, and empties it. */
export async function boundProgramLog(
  path: string,
  bytesMax: number = programLogBytesMax,
): Promise<void> {
  const log = await openIfThere(path, constants.O_RDWR);
  if (log === null) return;
  try {
    const { size } = await log.stat();
    if (size <= bytesMax) return;
    const aside = await open(`${path}.1`, "w", 0o640);
    try {
      await copyRange(log, aside, size - bytesMax, size);
    } finally {
      await aside.close();
    }
    await log.truncate(0);
  } finally {
    await log.close();
  }
}

/** The last line that says something, for the message about a program's end; empty when there is none. */
export async function lastLogLine(path: string): Promise<string> {
  const log = await openIfThere(path, constants.O_RDONLY);
  if (log === null) return "";
  try {
    const { size } = await log.stat();
    const length = Math.min(size, lastLineBytes);
    const { buffer, bytesRead } = await log.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    return (lines.findLast((line) => line.trim() !== "") ?? "").trim();
  } finally {
    await log.close();
  }
}

async function copyRange(
  from: FileHandle,
  to: FileHandle,
  start: number,
  end: number,
): Promise<void> {
  const buffer = Buffer.alloc(copyBytes);
  for (let at = start; at < end;) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(copyBytes, end - at), at);
    if (bytesRead === 0) return;
    await to.write(buffer, 0, bytesRead);
    at += bytesRead;
  }
}

async function openIfThere(path: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
