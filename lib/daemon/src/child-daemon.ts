// One of Shoal's processes as a child that can be ended at any moment and started again, always with
// the same configuration file. It ends when its parent does, however that ends: it watches our end of
// its standard input.
import { ShoalError } from "@shoal/core/error";
import { secondMs } from "@shoal/core/units";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { roomEnvironment, roomMain, runtimeFlags, type Room } from "./room-main.ts";

export interface ChildDaemonOptions {
  /** For messages, and for the names of its configuration and its log. */
  readonly name: string;
  readonly room: Room;
  /** Folder for the configuration file and the log. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** PATH of the process, and all that it inherits besides `environment`. */
  readonly searchPath: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Put before the command line, such as what enters another network; nothing when absent. */
  readonly prefix?: readonly string[];
  readonly readyMsMax: number;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;
/** What a process says when it is ready: its addresses. */
export type ReadyLine = Readonly<Record<string, unknown>>;

const stopMsMax = 20 * secondMs;
const logTailLines = 5;

export class ChildDaemon {
  readonly name: string;
  readonly logFile: string;
  readonly #options: ChildDaemonOptions;
  #child: Child | null = null;

  constructor(options: ChildDaemonOptions) {
    this.name = options.name;
    this.logFile = join(options.dir, `${options.name}.log`);
    this.#options = options;
  }

  /** Undefined while it doesn't run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Starts it and answers its ready line. Throws `process_not_ready` with the end of its log when it
   * ends or is too slow; it doesn't run then.
   */
  async start(): Promise<ReadyLine> {
    const { name, room, dir, config, prefix = [] } = this.#options;
    if (this.#child !== null) throw new Error(`${name} runs already`);
    const configFile = join(dir, `${name}.json`);
    await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    const child = this.#spawn([
      ...prefix,
      process.execPath,
      ...runtimeFlags,
      roomMain(room),
      "--config",
      configFile,
    ]);
    try {
      return await readyLine(child, this.#options.readyMsMax);
    } catch (cause) {
      await this.kill();
      const tail = (await this.log()).trimEnd().split("\n").slice(-logTailLines).join("\n");
      throw new ShoalError(
        "process_not_ready",
        `${name} did not start (${String(cause)}).\n${tail}`,
        {
          blame: "environment",
          hint: `Its log is ${this.logFile}`,
          cause,
        },
      );
    }
  }

  /** SIGKILL, and waits until it is gone. Fine when it doesn't run. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, and after `graceMs` SIGKILL; answers its exit status, null when a signal ended it. */
  async stop(graceMs: number = stopMsMax): Promise<number | null> {
    const timer = new AbortController();
    const late = sleep(graceMs, undefined, { signal: timer.signal }).then(
      () => this.#child?.kill("SIGKILL"),
      () => undefined,
    );
    const status = await this.#end("SIGTERM");
    timer.abort();
    await late;
    return status;
  }

  /** All that it has logged; empty when it hasn't. */
  async log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  #spawn(command: readonly string[]): Child {
    const { searchPath, environment } = this.#options;
    const [program = process.execPath, ...args] = command;
    const log = openSync(this.logFile, "a", 0o600);
    // The types of spawn know no third stream that is a file; the first two are pipes.
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", log],
      env: {
        PATH: searchPath,
        ...roomEnvironment(),
        ...environment,
        SHOAL_EXIT_WITH_PARENT: "1",
      },
    }) as Child;
    closeSync(log);
    child.stdin.on("error", () => {
      // It is gone; its exit is what we act on.
    });
    const forget = (): void => {
      if (this.#child === child) this.#child = null;
    };
    child.once("exit", forget);
    child.once("error", forget);
    this.#child = child;
    return child;
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
    return child.exitCode;
  }
}

async function readyLine(child: Child, timeoutMs: number): Promise<ReadyLine> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error(`not ready after ${timeoutMs} ms`)), timeoutMs);
  createInterface({ input: child.stdout }).once("line", resolve);
  child.once("error", reject);
  child.once("exit", (code, signal) => reject(new Error(`ended with ${signal ?? code}`)));
  try {
    return JSON.parse(await promise) as ReadyLine;
  } finally {
    clearTimeout(timer);
    // Keep reading, so that a child that prints more never blocks on a full pipe.
    child.stdout.resume();
  }
}
