// libtorrent on the same machines and links: a seeder and hosts that fetch one file of random bytes.
// The driver of each host is libtorrent_host.py, with the library's own settings but for TCP only.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { mebibyte } from "@shoal/core/units";
import type { Place } from "../swarm/swarm-fleet.ts";

const driver = join(import.meta.dirname, "libtorrent_host.py");
/** The system's own: the package installs for that one, whatever else is on the path. */
const python = "/usr/bin/python3";
const finishMsMax = 600_000;
const makeTorrent = `
import sys, libtorrent as lt
files = lt.file_storage()
lt.add_files(files, sys.argv[1])
torrent = lt.create_torrent(files)
lt.set_piece_hashes(torrent, sys.argv[2])
open(sys.argv[3], "wb").write(lt.bencode(torrent.generate()))
print(lt.__version__)
`;

/** One line about what is missing; null when nothing is. */
export function whyNoLibtorrent(): string | null {
  try {
    execFileSync(python, ["-c", "import libtorrent"], { stdio: "ignore" });
    return null;
  } catch {
    return "libtorrent is missing: apt-get install python3-libtorrent";
  }
}

export interface LibtorrentRun {
  readonly version: string;
  /** From the moment in which all were told to begin; ascending. */
  readonly tookMs: readonly number[];
}

/** The first place seeds, the others fetch. */
export async function runLibtorrent(places: readonly Place[], mib: number): Promise<LibtorrentRun> {
  const dir = await mkdtemp(join(tmpdir(), "shoal-libtorrent-"));
  const hosts: Host[] = [];
  try {
    const source = join(dir, "0");
    await mkdir(source);
    await writeFile(join(source, "bytes"), randomFillSync(Buffer.alloc(mib * mebibyte)));
    const torrent = join(dir, "bytes.torrent");
    const made = ["-c", makeTorrent, join(source, "bytes"), source, torrent];
    const version = execFileSync(python, made, { encoding: "utf8" }).trim();
    for (const [index, place] of places.entries()) {
      await mkdir(join(dir, String(index)), { recursive: true });
      const others = places.filter((other) => other !== place).map(({ address }) => address);
      hosts.push(new Host(place, [torrent, join(dir, String(index)), place.address, ...others]));
    }
    await Promise.all(hosts.map((host) => host.line()));
    // The seeder reads through its file first, and is there when the others come.
    const [seeder, ...fetching] = hosts;
    seeder?.go();
    await seeder?.line();
    const startedAt = Date.now();
    for (const host of fetching) host.go();
    const ends = await Promise.all(fetching.map((host) => host.doneAt()));
    return { version, tookMs: ends.map((end) => end - startedAt).toSorted((a, b) => a - b) };
  } finally {
    for (const host of hosts) host.kill();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Host {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor({ prefix }: Place, args: readonly string[]) {
    const [program = python, ...rest] = [...prefix, python, driver, ...args];
    this.#child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("its output is a pipe");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  go(): void {
    this.#child.stdin?.write("go\n");
  }

  async line(): Promise<string> {
    const late = AbortSignal.timeout(finishMsMax);
    const over = new Promise<never>((_resolve, reject) => {
      late.addEventListener("abort", () => reject(new Error("libtorrent takes too long")));
    });
    const next = await Promise.race([this.#lines.next(), over]);
    if (next.done === true) throw new Error("libtorrent's driver ended");
    return next.value;
  }

  async doneAt(): Promise<number> {
    return (JSON.parse(await this.line()) as { readonly doneAt: number }).doneAt;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
