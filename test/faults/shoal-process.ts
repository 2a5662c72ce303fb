// One of Shoal's processes as a real child that can be killed at any moment and started again, always
// with the same configuration file. It ends when this process does, however that ends.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { faultConfig } from "./config.ts";

export type Room = "control-plane" | "builder" | "seeder" | "host-agent";

export interface ProcessOptions {
  readonly name: string;
  readonly room: Room;
  /** Folder for the configuration file and the log. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

const readyMsMax = 30_000;
const stopMsMax = 20_000;

export function roomMain(room: Room): string {
  return fileURLToPath(new URL(`../../${room}/src/main.ts`, import.meta.url));
}

export class ShoalProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #options: ProcessOptions;
  readonly #configFile: string;
  #child: Child | null = null;

  constructor(options: ProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#configFile = join(options.dir, `${options.name}.json`);
    this.logFile = join(options.dir, `${options.name}.log`);
  }

  /** Undefined while it doesn't run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and answers what its ready line tells. Rejects with the end of its log. */
  async start(): Promise<Readonly<Record<string, unknown>>> {
    if (this.#child !== null) throw new Error(`${this.name} runs already`);
    const config = `${JSON.stringify(this.#options.config, null, 2)}\n`;
    await writeFile(this.#configFile, config, { mode: 0o600 });
    const log = openSync(this.logFile, "a", 0o600);
    // The types of spawn know no third stream that is a file; the first two are pipes.
    const child = spawn(
      process.execPath,
      [roomMain(this.#options.room), "--config", this.#configFile],
      {
        stdio: ["pipe", "pipe", log],
        env: { PATH: faultConfig.searchPath, SHOAL_EXIT_WITH_PARENT: "1" },
      },
    ) as Child;
    closeSync(log);
    child.stdin.on("error", () => {}); // It is gone; its exit is what we act on.
    this.#child = child;
    child.once("exit", () => {
      if (this.#child === child) this.#child = null;
    });
    return this.#readyLine(child);
  }

  /** SIGKILL, and waits until it is gone. Fine when it doesn't run. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, then SIGKILL; answers its exit status, null when a signal ended it. */
  async stop(): Promise<number | null> {
    const timer = new AbortController();
    const late = sleep(stopMsMax, undefined, { signal: timer.signal }).then(
      () => this.#child?.kill("SIGKILL"),
      () => undefined,
    );
    const status = await this.#end("SIGTERM");
    timer.abort();
    await late;
    return status;
  }

  async log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  async #readyLine(child: Child): Promise<Readonly<Record<string, unknown>>> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(new Error("not ready in time")), readyMsMax);
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code, signal) => reject(new Error(`ended with ${signal ?? code}`)));
    child.once("error", reject);
    try {
      return JSON.parse(await promise) as Record<string, unknown>;
    } catch (cause) {
      const tail = (await this.log()).trimEnd().split("\n").slice(-5).join("\n");
      throw new Error(`${this.name}: ${String(cause)}\n${tail}`, { cause });
    } finally {
      clearTimeout(timer);
      child.stdout.resume();
    }
  }
}
