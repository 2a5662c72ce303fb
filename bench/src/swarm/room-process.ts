// One of Shoal's processes as a child that can be killed and started again with the same configuration,
// on a machine of its own where there are network namespaces. Ends when the bench does.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

export type Room = "control-plane" | "builder" | "seeder" | "host-agent";

export interface RoomProcessOptions {
  readonly name: string;
  readonly room: Room;
  /** Folder for the configuration file and the log. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Put before the command line: what enters a machine's network. */
  readonly prefix: readonly string[];
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

const readyMsMax = 120_000;
const stopMsMax = 30_000;

export class RoomProcess {
  readonly name: string;
  readonly #options: RoomProcessOptions;
  readonly #logFile: string;
  #child: Child | null = null;

  constructor(options: RoomProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#logFile = join(options.dir, `${options.name}.log`);
  }

  /** Undefined while it doesn't run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and answers what its ready line tells. Rejects with the end of its log. */
  async start(): Promise<Readonly<Record<string, unknown>>> {
    const { room, dir, name, config, prefix } = this.#options;
    if (this.#child !== null) throw new Error(`${name} runs already`);
    const configFile = join(dir, `${name}.json`);
    await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
    const log = openSync(this.#logFile, "a", 0o600);
    const main = fileURLToPath(new URL(`../../../${room}/src/main.ts`, import.meta.url));
    const [program, ...args] = [...prefix, process.execPath, main, "--config", configFile];
    // The types of spawn know no third stream that is a file; the first two are pipes.
    const child = spawn(program ?? process.execPath, args, {
      stdio: ["pipe", "pipe", log],
      env: { PATH: searchPath, SHOAL_EXIT_WITH_PARENT: "1" },
    }) as Child;
    closeSync(log);
    child.stdin.on("error", () => undefined); // It is gone; its exit is what we act on.
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

  /** SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), stopMsMax);
    await this.#end("SIGTERM");
    clearTimeout(timer);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
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
      const text = await readFile(this.#logFile, "utf8").catch(() => "");
      const tail = text.trimEnd().split("\n").slice(-5).join("\n");
      throw new Error(`${this.name}: ${String(cause)}\n${tail}`, { cause });
    } finally {
      clearTimeout(timer);
      child.stdout.resume();
    }
  }
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
