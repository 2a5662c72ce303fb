// Starts one of Shoal's processes as a child and waits until it says that it is ready. The child
// ends when our end of its standard input closes, so nothing outlives a killed demo.
import { ShoalError } from "@shoal/core/error";
import { secondMs } from "@shoal/core/units";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { roomMain, type Room } from "../room.ts";

export interface ChildOptions {
  /** For messages and the log file's name. */
  readonly name: string;
  readonly room: Room;
  /** JSON file with the process's whole configuration. */
  readonly configFile: string;
  readonly logFile: string;
  readonly readyTimeoutMs: number;
  /** PATH of the process, and all that it inherits. */
  readonly searchPath: string;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** What the process said when it was ready: its addresses. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** SIGTERM, and after `graceMs` SIGKILL. Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
}

type Running = ChildProcessByStdio<Writable, Readable, null>;

/** Rejects with `process_not_ready` and the end of the log when the process ends or is too slow. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const log = openSync(options.logFile, "a", 0o600);
  // The types of spawn know no third stream that is a file; the first two are pipes.
  const child = spawn(process.execPath, [roomMain(options.room), "--config", options.configFile], {
    stdio: ["pipe", "pipe", log],
    env: { PATH: options.searchPath, SHOAL_EXIT_WITH_PARENT: "1" },
  }) as Running;
  closeSync(log);
  child.stdin.on("error", () => {
    // The child is gone; its exit is what we act on.
  });
  try {
    const ready = await firstLine(child, options);
    return {
      name: options.name,
      pid: child.pid ?? 0,
      ready,
      stop: (graceMs) => stopChild(child, graceMs),
    };
  } catch (error) {
    await stopChild(child, 2 * secondMs);
    throw error;
  }
}

async function firstLine(child: Running, options: ChildOptions): Promise<Record<string, unknown>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  const timer = setTimeout(
    () => reject(new Error(`not ready after ${options.readyTimeoutMs} ms`)),
    options.readyTimeoutMs,
  );
  const lines = createInterface({ input: child.stdout });
  lines.once("line", (line) => {
    try {
      resolve(JSON.parse(line) as Record<string, unknown>);
    } catch (error) {
      reject(error);
    }
  });
  child.once("error", reject);
  child.once("exit", (code, signal) => reject(new Error(`ended with ${signal ?? code}`)));
  try {
    return await promise;
  } catch (cause) {
    const tail = await readFile(options.logFile, "utf8").then(
      (text) => text.trimEnd().split("\n").slice(-5).join("\n"),
      () => "",
    );
    throw new ShoalError(
      "process_not_ready",
      `${options.name} did not start (${String(cause)}).\n${tail}`,
      {
        blame: "environment",
        hint: `Its log is ${options.logFile}`,
        cause,
      },
    );
  } finally {
    clearTimeout(timer);
    // Keep reading, so that a child that prints more never blocks on a full pipe.
    child.stdout.resume();
  }
}

async function stopChild(child: Running, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await gone;
  clearTimeout(timer);
}
