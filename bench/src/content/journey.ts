// `bench journey`: a large tree through a real fleet: built, published to the home region, replicated to
// a second one, fetched by a host in each; a second version that differs in an eighth; then read through
// on a host, damaged and repaired. Figures are peaks of memory and disk, which must not grow with size.
// Memory is what the kernel says of each process (VmHWM, the "maximum resident set size" of GNU time);
// disk is looked at several times a second.
import { chmod, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import type { FetchStatus } from "@shoal/api/seeder";
import type { Command } from "commander";
import { findProcess } from "../transfer/cpu.ts";
import { startBenchFleet, type BenchFleet, type BenchProject } from "../transfer/fleet.ts";
import { type Finish, rounded, type Measured } from "../result.ts";
import { diskPeak, type DiskPeak } from "./disk-peak.ts";
import { requirePrograms, runTimed, type Timed } from "./timed.ts";

interface JourneyOptions {
  readonly mib: number;
  readonly dir?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** Copies of Node's own executable, each stamped every 32 KiB, so that no two share a chunk; from one version to the next the last eighth of each differs. */
const makeScript = `
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
const [bytes, count] = [Number(readFileSync("size")), Number(readFileSync("count"))];
const source = readFileSync(process.execPath);
mkdirSync("out/bin", { recursive: true });
mkdirSync("out/lib");
let left = bytes;
for (let file = 0; left > 0; file += 1) {
  const body = Buffer.from(source.subarray(0, left));
  let word = file * 1000 + 1;
  for (let at = 0; at + 32 <= body.length; at += 32768) {
    if (at / 32768 === Math.floor(body.length / 37449)) word += count;
    for (let byte = 0; byte < 32; byte += 4) {
      word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
      body.writeInt32LE(word, at + byte);
    }
  }
  writeFileSync("out/bin/program-" + file, body, { mode: 0o755 });
  left -= body.length;
}
for (let file = 0; file < bytes / 2 ** 20; file += 1)
  writeFileSync("out/lib/file-" + file, source.subarray(file * 1000, file * 1000 + 500 + (file * 7919) % 16000));
`;
const project: BenchProject = {
  files: { "make.mjs": makeScript },
  build: "node make.mjs",
  artifact: "out",
  regions: 2,
};
const pollMs = 500;
const stepMsMax = 30 * 60_000;
const shoal = fileURLToPath(new URL("../../../cli/src/main.ts", import.meta.url));
const rooms = {
  builder: ["builder/src/main.ts", "builder-1"],
  homeSeeder: ["seeder/src/main.ts", "seeder-eu-central"],
  otherSeeder: ["seeder/src/main.ts", "seeder-us-east"],
  homeAgent: ["host-agent/src/main.ts", "host-1"],
  otherAgent: ["host-agent/src/main.ts", "host-2"],
} as const;
type Room = keyof typeof rooms;
const roomNames = Object.keys(rooms) as Room[];

export function addJourneyBench(program: Command, finish: Finish): void {
  program
    .command("journey")
    .description("A large tree from its build to two hosts, its update, check and repair")
    .option("--mib <number>", "size of the tree", Number, 10_240)
    .option("--dir <folder>", "where the fleet keeps its state")
    .option("--no-repair", "without damage and repair, which take the tree's size again on disk")
    .option("--json", "print the JSON line alone")
    .action(async (options: JourneyOptions) => {
      finish("journey", await measureJourney(options), options.json === true);
    });
}

async function measureJourney({ mib, dir, repair }: JourneyOptions): Promise<Measured> {
  await requirePrograms(["time"]);
  const parent = await mkdtemp(join(dir ?? tmpdir(), "shoal-journey-"));
  await chmod(parent, 0o711);
  const told = new AbortController();
  const end = (name: NodeJS.Signals): void => told.abort(new Error(`told to end by ${name}`));
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, end);
  const fleet = await startBenchFleet(parent, project);
  try {
    const journey = new Journey(fleet, told.signal);
    const first = await journey.version(mib);
    const second = await journey.version(mib);
    const checked = await journey.verify();
    const mended = repair === false ? {} : await journey.repair(second.artifact);
    const peaks = await journey.peaksMiB();
    const verifyPeakMiB = checked.peakMiB;
    return {
      settings: { mib, regions: 2, hosts: 2 },
      runs: [
        { version: 1, ...first },
        { version: 2, ...second },
      ],
      figures: {
        ...peaks,
        verifyPeakMiB,
        verifySeconds: rounded(checked.wallSeconds),
        builderDiskRatio: rounded(Math.max(first.disk.builder, second.disk.builder)),
        seederDiskRatio: rounded(Math.max(first.disk.homeSeeder, first.disk.otherSeeder)),
        agentDiskRatio: rounded(
          Math.max(...[first, second].flatMap(({ disk }) => [disk.homeAgent, disk.otherAgent])),
        ),
        publishSeconds: rounded(first.buildSeconds),
        publishAgainSeconds: rounded(second.buildSeconds),
        deploySeconds: rounded(first.deploySeconds),
        updateSeconds: rounded(second.deploySeconds),
        updateMovedShare: rounded(second.movedBytes / second.bytes),
        ...mended,
      },
    };
  } finally {
    await fleet.stop();
    await runTimed("rm", ["-rf", parent]).catch(() => rm(parent, { recursive: true }));
  }
}

interface Version {
  readonly artifact: string;
  readonly bytes: number;
  readonly buildSeconds: number;
  readonly deploySeconds: number;
  /** From the seeder and from peers, of the host in the home region. */
  readonly movedBytes: number;
  /** What each folder grew by at most, as a share of the artifact. */
  readonly disk: Readonly<Record<Room, number>>;
}

class Journey {
  readonly #fleet: BenchFleet;
  readonly #told: AbortSignal;

  /** `told` ends the waiting: whoever limits a run's time gets to know how far it came, and its files go. */
  constructor(fleet: BenchFleet, told: AbortSignal) {
    this.#fleet = fleet;
    this.#told = told;
  }

  /** Builds the next version, replicates and deploys it, and waits until both hosts run it. */
  async version(mib: number): Promise<Version> {
    const { client, service } = this.#fleet;
    const peaks = await this.#watchDisks();
    process.stderr.write("building, publishing and replicating\n");
    const startedAt = performance.now();
    const commit = this.#fleet.commitSize(mib);
    const { id } = await client.builds.start({ project: service, commit, priority: 0 });
    const artifact = await this.#waitFor(`build ${id}`, async () => {
      const { state, artifact: built, failure } = await client.builds.get(id);
      if (failure !== null) throw new Error(`build ${id}: ${failure.message}`);
      return state === "SUCCEEDED" ? (built ?? undefined) : undefined;
    });
    const builtAt = performance.now();
    process.stderr.write("deploying\n");
    const rollout = await client.services.deploy("production", service, { build: id });
    await this.#waitFor("the rollout", async () => {
      const { endedAt, state } = await client.rollouts.get(rollout.id);
      if (endedAt !== null && state !== "SUCCEEDED") throw new Error(`the rollout is ${state}`);
      return endedAt ?? undefined;
    });
    const deployedAt = performance.now();
    const fetched = (await this.#fetches("host-1", artifact))[0];
    if (fetched === undefined) throw new Error("host-1 has fetched nothing");
    const disk = await shares(peaks, fetched.bytes);
    process.stderr.write(`${JSON.stringify({ ...(await this.peaksMiB()), disk })}\n`);
    return {
      artifact,
      bytes: fetched.bytes,
      buildSeconds: (builtAt - startedAt) / 1000,
      deploySeconds: (deployedAt - builtAt) / 1000,
      movedBytes: fetched.bytesFromSeeders + fetched.bytesFromPeers,
      disk,
    };
  }

  /** Reads everything on the first host through, as an operator would. Throws when something is wrong. */
  async verify(...flags: readonly string[]): Promise<Timed> {
    process.stderr.write("reading everything on a host through\n");
    const command = [shoal, "agent", "verify", "--state-dir", this.#stateDir("homeAgent")];
    return runTimed(process.execPath, [...command, ...flags]);
  }

  /** Changes a byte of an artifact on the first host, and has that mended. */
  async repair(artifact: string): Promise<Record<string, number>> {
    const path = join(this.#stateDir("homeAgent"), "releases", artifact, "tree/bin/program-0");
    await chmod(path, 0o700);
    const handle = await open(path, "r+");
    await handle.write(Uint8Array.of(1, 2, 3), 0, 3, 5_000_000);
    await handle.close();
    const { wallSeconds } = await this.verify("--repair");
    const fetched = await this.#waitFor("what was mended to be reported", async () =>
      (await this.#fetches("host-1", artifact)).find(
        ({ bytesReused, bytes }) => bytesReused > bytes * 0.99,
      ),
    );
    const movedBytes = fetched.bytesFromSeeders + fetched.bytesFromPeers;
    return { repairSeconds: rounded(wallSeconds), repairMovedKiB: rounded(movedBytes / 1024) };
  }

  /** The most memory that each process had at once since its start. */
  async peaksMiB(): Promise<Record<string, number>> {
    const peaks: Record<string, number> = {};
    for (const room of roomNames) {
      const [program, name] = rooms[room];
      const pid = await findProcess(program, join(this.#fleet.dir, `${name}.json`));
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      const kib = Number(/^VmHWM:\s+(?<kib>\d+) kB$/m.exec(status)?.groups?.["kib"]);
      peaks[`${room}PeakMiB`] = Math.round(kib / 1024);
    }
    return peaks;
  }

  async #fetches(host: string, artifact: string): Promise<readonly FetchStatus[]> {
    const { items } = await this.#fleet.client.hosts.list({ limit: 10 });
    const found = items.find((item) => item.host === host);
    return (found?.fetches ?? []).filter(
      (each) => each.artifact === artifact && each.durationMs !== null,
    );
  }

  async #watchDisks(): Promise<Readonly<Record<Room, DiskPeak>>> {
    const entries = roomNames.map((room) => [room, diskPeak(this.#stateDir(room))] as const);
    await Promise.all(entries.map(([, peak]) => peak.begun));
    return Object.fromEntries(entries) as Record<Room, DiskPeak>;
  }

  async #waitFor<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
    const startedAt = performance.now();
    for (;;) {
      if (this.#told.aborted) throw new Error(`no end of ${what}`, { cause: this.#told.reason });
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() - startedAt > stepMsMax) throw new Error(`${what} takes too long`);
      await sleep(pollMs);
    }
  }

  #stateDir(room: Room): string {
    return join(this.#fleet.dir, rooms[room][1]);
  }
}

async function shares(
  peaks: Readonly<Record<Room, DiskPeak>>,
  bytes: number,
): Promise<Readonly<Record<Room, number>>> {
  const entries = Object.entries(peaks).map(
    async ([room, peak]) => [room, rounded((await peak.stop()) / bytes)] as const,
  );
  return Object.fromEntries(await Promise.all(entries)) as Record<Room, number>;
}
