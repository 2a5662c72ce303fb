// The fleet of a bench: the demo's own, with one host in each region unless told, kept running by the demo, whose
// project makes as many bytes as a commit says; random ones unless the bench has a project of its own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "@shoal/api/client";
import { mebibyte } from "@shoal/core/units";

const startMsMax = 180_000;
const stopMsMax = 30_000;
const shoal = join(import.meta.dirname, "../../../cli/src/main.ts");

export interface BenchFleet {
  readonly client: Client;
  readonly service: string;
  /** State of the processes, and the configuration files that they were started with. */
  readonly dir: string;
  /** Commits a new size; answers the commit. */
  commitSize(mib: number): string;
  stop(): Promise<void>;
}

export interface BenchProject {
  /** Files of the repository besides `size` (bytes) and `count` (of commits). */
  readonly files?: Readonly<Record<string, string>>;
  readonly build: string;
  readonly artifact: string;
  readonly regions: number;
  /** Host agents; one when absent. */
  readonly hosts?: number;
  /** Whether chunks go unencrypted; they don't when absent. */
  readonly plain?: boolean;
}

export const randomBytes: BenchProject = {
  build: 'head -c "$(cat size)" /dev/urandom > bytes',
  artifact: "bytes",
  regions: 1,
};

/** Starts everything and deploys one MiB, so that programs are warm and links are there. */
export async function startBenchFleet(
  parent: string,
  project: BenchProject = randomBytes,
): Promise<BenchFleet> {
  const repository = join(parent, "random");
  const dir = join(parent, "fleet");
  await mkdir(repository);
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-c", "user.name=bench", "-c", "user.email=bench@localhost", ...args], {
      cwd: repository,
      encoding: "utf8",
    }).trim();
  git("init", "--quiet");
  for (const [name, text] of Object.entries(project.files ?? {}))
    writeFileSync(join(repository, name), text);
  let count = 0;
  const commitSize = (mib: number): string => {
    writeFileSync(join(repository, "size"), String(mib * mebibyte));
    writeFileSync(join(repository, "count"), String((count += 1)));
    git("add", ".");
    git("commit", "--quiet", "--message", `${mib} MiB`);
    return git("rev-parse", "HEAD");
  };
  const own = ["--repo", repository, "--commit", commitSize(1)];
  const build = ["--build", project.build, "--artifact", project.artifact];
  const { hosts = 1, regions, plain = false } = project;
  const size = ["--hosts", String(hosts), "--regions", String(regions), "--keep", "--dir", dir];
  if (plain) size.push("--plain");
  const child = spawn(process.execPath, [shoal, "demo", ...own, ...build, ...size], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = (): Promise<void> => stopChild(child);
  try {
    const said = await whenKept(child);
    const token = (await readFile(said.tokenFile, "utf8")).trim();
    const client = createClient({ url: said.url, token });
    const service = (await client.services.list()).items[0]?.name ?? "random";
    return { client, service, dir, commitSize, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the demo says once everything runs and is kept. */
async function whenKept(child: ChildProcess): Promise<{ url: string; tokenFile: string }> {
  let text = "";
  const keep = (part: string): void => {
    text += part;
  };
  child.stdout?.setEncoding("utf8").on("data", keep);
  child.stderr?.setEncoding("utf8").on("data", keep);
  const startMs = performance.now();
  for (;;) {
    const found = /SHOAL_URL=(?<url>\S+) SHOAL_ADMIN_TOKEN_FILE=(?<tokenFile>\S+)\n/.exec(
      text,
    )?.groups;
    if (found !== undefined) {
      return { url: found["url"] ?? "", tokenFile: found["tokenFile"] ?? "" };
    }
    if (child.exitCode !== null) throw new Error(`the fleet ended: ${text.slice(-2000)}`);
    if (performance.now() - startMs > startMsMax) {
      throw new Error(`the fleet isn't there: ${text.slice(-2000)}`);
    }
    await sleep(100);
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await gone;
  clearTimeout(timer);
}
