// A large log against a control plane of its own process: how soon its first screen is there, how long a
// search through all of it takes, and what that does to the process's memory.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "@shoal/api/client";
import { startPostgres } from "@shoal/postgres/server";
import { type Measured, median, rounded } from "../result.ts";
import { makeKeys, startControlPlane } from "./control-planes.ts";
import { countLogRows, createDatabase } from "./database.ts";
import { commitOf, enrollBuilder, prepareFleet } from "./http-rate.ts";
import { type QueueOptions, quiet } from "./options.ts";

const partBytes = 1_000_000;
const needle = "here is what was looked for";
const looks = 10;
const smallLogs = 3;
const smallMegabytes = 10;

/** A build that prints so many megabytes, the needle near the end; read and searched `looks` times. */
export async function measureLargeLog(dir: string, options: QueueOptions): Promise<Measured> {
  const megabytes = options.log ?? 200;
  const postgres = await startPostgres({ dir: join(dir, "postgres"), log: quiet });
  try {
    const made = await makeKeys(join(dir, "keys"));
    const keys = { ...made, settings: { ...made.settings, logDir: join(dir, "logs") } };
    const databaseUrl = await createDatabase(postgres.url, "log");
    const plane = await startControlPlane(join(dir, "plane"), keys, databaseUrl, 0);
    const memory = new MemoryWatch(plane.child.pid ?? 0);
    try {
      await prepareFleet(plane.admin, plane.url);
      const startedMiB = await memory.peakDuring(() => sleep(1000));
      const openMs: number[] = [];
      const searchMs: number[] = [];
      const printAndLook = async (number: number, size: number): Promise<number> => {
        process.stderr.write(`sending ${size} MB\n`);
        const build = await printLog(plane, number, size);
        await untilSealed(databaseUrl);
        for (let look = 0; look < looks; look += 1) {
          openMs.push(await timed(() => open(plane.admin, build)));
          searchMs.push(await timed(() => search(plane.admin, build)));
        }
        return build;
      };
      // What a process comes to that has had to do with logs at all: its code, and its heap's young part.
      const smallMiB = await memory.peakDuring(async () => {
        for (let number = 1; number <= smallLogs; number += 1) {
          await printAndLook(number, smallMegabytes);
        }
      });
      openMs.length = 0;
      searchMs.length = 0;
      const largeMiB = await memory.peakDuring(() => printAndLook(smallLogs + 1, megabytes));
      const memories = { startedMiB, smallMiB, largeMiB };
      return {
        settings: { ...options, log: megabytes },
        runs: [{ openMs: openMs.map(rounded), searchMs: searchMs.map(rounded), ...memories }],
        figures: {
          megabytes,
          firstScreenMs: rounded(median(openMs)),
          firstScreenMsMax: rounded(Math.max(...openMs)),
          searchMs: rounded(median(searchMs)),
          searchMsMax: rounded(Math.max(...searchMs)),
          memoryOverSmallLogMiB: rounded(largeMiB - smallMiB),
          memoryOverStartMiB: rounded(largeMiB - startedMiB),
        },
      };
    } finally {
      await plane.kill();
    }
  } finally {
    await postgres.stop();
  }
}

async function printLog(
  { admin, url }: { readonly admin: Client; readonly url: string },
  number: number,
  megabytes: number,
): Promise<number> {
  await admin.builds.start({ project: "bench", commit: commitOf(number) });
  const name = `b${number}`;
  const token = await enrollBuilder(admin, url, name);
  const { builder } = createClient({ url, token });
  const { lease } = await builder.lease({ builder: name, waitMs: 5000 });
  if (lease === null) throw new Error("the queue is empty");
  const { build, fence } = lease;
  const line = `${"x".repeat(99)}\n`;
  const part = Buffer.from(line.repeat(partBytes / line.length));
  for (let index = 0; index < megabytes; index += 1) {
    if (index === megabytes - 1) part.write(needle, partBytes - 50 * line.length);
    await builder.appendLog(build, { fence, offset: index * partBytes }, part);
  }
  const failure = { code: "build_failed", message: "measured", blame: "user" } as const;
  await builder.fail(build, { fence, failure });
  return build;
}

async function untilSealed(databaseUrl: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while ((await countLogRows(databaseUrl)) > 0) {
    if (performance.now() > endMs) throw new Error("the log is still in rows");
    await sleep(200);
  }
}

async function open(admin: Client, build: number): Promise<void> {
  const { bytes } = await admin.builds.log(build);
  if (bytes.length < 100_000) throw new Error(`a first screen of ${bytes.length} bytes`);
}

async function search(admin: Client, build: number): Promise<void> {
  const { items } = await admin.builds.searchLog(build, { text: needle });
  if (items.length !== 1) throw new Error(`${items.length} hits`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** Resident memory of another process, looked at every few milliseconds. */
class MemoryWatch {
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  async peakDuring(work: () => Promise<unknown>): Promise<number> {
    let peak = await this.#nowMiB();
    const timer = setInterval(() => {
      void this.#nowMiB().then((now) => {
        peak = Math.max(peak, now);
      });
    }, 20);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    return Math.max(peak, await this.#nowMiB());
  }

  async #nowMiB(): Promise<number> {
    const status = await readFile(`/proc/${this.#pid}/status`, "utf8").catch(() => "");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  }
}
