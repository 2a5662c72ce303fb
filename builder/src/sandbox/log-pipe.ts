// The pipe that a build writes its output to. A real pipe (a FIFO whose name is removed at once), not
// Node's own "pipe", which is a socket: on a socket `echo > /dev/stderr` and `tee /dev/stdout` fail.
// Both of the build's streams go into it, so that their lines keep their order. When nobody reads,
// it fills and the build waits: that is the backpressure.
import { chownSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { ShoalError } from "@shoal/core/error";
import { runProgram } from "@shoal/daemon/program";

export interface LogPipe {
  /** For the child's stdout and stderr. */
  readonly writeFd: number;
  /** Ends when every process that holds the write end has ended. */
  readonly output: Socket;
  /** To be called once the child has its copies. */
  closeWriteEnd(): void;
}

export interface LogPipeOptions {
  /** Where its name may be for a moment. */
  readonly path: string;
  /** Who may open it anew as /dev/stdout; the builder's own user when null. */
  readonly uid: number | null;
  readonly searchPath: string;
}

export async function openLogPipe(options: LogPipeOptions): Promise<LogPipe> {
  const { path, uid } = options;
  const made = await runProgram("mkfifo", ["-m", "600", "--", path], {
    environment: { PATH: options.searchPath },
    timeoutMs: 10_000,
  });
  if (made.exitCode !== 0) {
    throw new ShoalError("sandbox_failed", `mkfifo failed: ${made.stderr.trim()}`, {
      blame: "environment",
      retryable: true,
    });
  }
  if (uid !== null) chownSync(path, uid, uid);
  // A reader first, or the write end would block; both ends in one for a moment, or the reader would
  // see the end of the file before there is a writer.
  const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY);
  closeSync(both);
  rmSync(path);
  const output = new Socket({ fd: readFd, readable: true, writable: false });
  return { writeFd, output, closeWriteEnd: () => closeSync(writeFd) };
}
