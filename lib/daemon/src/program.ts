// Runs a helper program of the machine (git, du, rm …) to its end, under a deadline and a limit on
// what is kept of its output. The program gets its own process group, and the whole group is killed
// at the deadline or when the caller gives up. Builds themselves are not run here: see sandbox/.
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { ShoalError } from "@shoal/core/error";
import { programOutputBytesMax } from "@shoal/core/limits";

export interface ProgramOptions {
  readonly cwd?: string;
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface ProgramEnd {
  /** `late`: killed at the deadline. `stopped`: killed because the signal was aborted. */
  readonly type: "exited" | "late" | "stopped";
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** The first `programOutputBytesMax` of each stream, as text. */
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program; its stdin is empty.
 * @throws ShoalError `program_missing` when it can't be started at all.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramEnd> {
  if (options.signal?.aborted === true) {
    return { type: "stopped", exitCode: null, stdout: "", stderr: "" };
  }
  const child = spawn(program, args, {
    env: { ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let type: ProgramEnd["type"] = "exited";
  const kill = (why: ProgramEnd["type"]): void => {
    type = why;
    if (child.pid !== undefined) killGroup(child.pid);
  };
  const stop = (): void => kill("stopped");
  const timer = setTimeout(() => kill("late"), options.timeoutMs);
  options.signal?.addEventListener("abort", stop, { once: true });
  const ended = Promise.withResolvers<number | null>();
  child.once("error", (cause) => {
    const message = `${program} can't be started: ${cause.message}`;
    const hint = `Install ${program}, or put it on the PATH of this process.`;
    ended.reject(new ShoalError("program_missing", message, { blame: "environment", hint, cause }));
  });
  child.once("close", (exitCode) => ended.resolve(exitCode));
  try {
    const [stdout, stderr, exitCode] = await Promise.all([
      readHead(child.stdout),
      readHead(child.stderr),
      ended.promise,
    ]);
    return { type, exitCode, stdout, stderr };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

/** Kills a process group; one that is gone already is fine. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Reads a stream to its end and keeps the beginning, so that a chatty program is never blocked. */
async function readHead(stream: Readable): Promise<string> {
  const kept: Buffer[] = [];
  let bytes = 0;
  for await (const portion of stream as AsyncIterable<Buffer>) {
    if (bytes < programOutputBytesMax)
      kept.push(portion.subarray(0, programOutputBytesMax - bytes));
    bytes += portion.length;
  }
  return Buffer.concat(kept).toString("utf8");
}
