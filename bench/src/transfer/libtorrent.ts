// libtorrent (Debian's python3-libtorrent) as the other side of a comparison: one seed and so many
// leechers, a process each, all connected to all. Measured like ours: from the moment when every process
// is up and idle until the last leecher has everything, verified.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { promisify } from "node:util";
import { mebibyte } from "@shoal/core/units";
import { cpuSeconds, whenIdle } from "./cpu.ts";

const script = join(import.meta.dirname, "torrent_process.py");
/** The system's own: packages of others don't reach another one. */
const python = "/usr/bin/python3";
const doneMsMax = 600_000;

export interface TorrentRun {
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Throws with one line that says what to install. */
export function requireLibtorrent(): void {
  try {
    execFileSync(python, ["-c", "import libtorrent"], { stdio: "ignore" });
  } catch {
    throw new Error("libtorrent is missing: apt-get install python3-libtorrent");
  }
}

export class TorrentFleet {
  readonly #folder: string;
  readonly #mib: number;
  readonly #leechersCount: number;

  constructor(folder: string, mib: number, leechersCount: number) {
    this.#folder = folder;
    this.#mib = mib;
    this.#leechersCount = leechersCount;
  }

  /** Makes the payload and its torrent. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder);
    await promisify(execFile)(python, [script, "make", this.#folder, String(this.#mib)]);
  }

  async measure(): Promise<TorrentRun> {
    const names = Array.from({ length: this.#leechersCount }, (_unused, index) => `leech-${index}`);
    const seed = new TorrentProcess("seed", this.#folder, "seed");
    const leechers = names.map((name) => new TorrentProcess("leech", this.#folder, name));
    const all = [seed, ...leechers];
    try {
      const ports = await Promise.all(all.map((each) => each.ready()));
      const pids = all.map(({ pid }) => pid);
      await whenIdle(pids);
      const total = async (): Promise<number> =>
        (await Promise.all(pids.map(cpuSeconds))).reduce((sum, each) => sum + each, 0);
      const before = await total();
      const startMs = performance.now();
      // Each is told of those before it, so that every pair is connected once.
      for (const [index, leecher] of leechers.entries()) leecher.go(ports.slice(0, index + 1));
      await Promise.all(leechers.map((leecher) => leecher.done()));
      const seconds = (performance.now() - startMs) / 1000;
      const used = (await total()) - before;
      const bytes = this.#mib * mebibyte * this.#leechersCount;
      return { bytes, seconds, cpuSeconds: used };
    } finally {
      await Promise.all(all.map((each) => each.stop()));
      for (const name of names)
        await rm(join(this.#folder, name), { recursive: true, force: true });
    }
  }
}

class TorrentProcess {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #said: AsyncIterator<string>;

  constructor(role: "seed" | "leech", folder: string, name: string) {
    const child = spawn(python, [script, role, folder, name], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#said = this.#lines[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ready(): Promise<number> {
    const { port } = await this.#next();
    return Number(port);
  }

  go(ports: readonly number[]): void {
    this.#child.stdin?.write(`${JSON.stringify(ports)}\n`);
  }

  async done(): Promise<void> {
    const { done } = await this.#next();
    if (done !== true) throw new Error("a leecher said something else than that it is done");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async #next(): Promise<Readonly<Record<string, unknown>>> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("libtorrent takes too long")), doneMsMax);
    try {
      const { value, done } = await Promise.race([this.#said.next(), late.promise]);
      if (done === true) throw new Error("a process of libtorrent ended");
      return JSON.parse(value) as Readonly<Record<string, unknown>>;
    } finally {
      clearTimeout(timer);
    }
  }
}
