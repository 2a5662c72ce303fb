// A whole fleet of real processes whose members can be killed and started again one by one. Ports are
// chosen before the first start and kept, as they would be on real machines.
import { createClient, type Client } from "@shoal/api/client";
import type { HostStatus } from "@shoal/api/seeder";
import { ChildDaemon } from "@shoal/daemon/child-daemon";
import type { Room } from "@shoal/daemon/room-main";
import { startPostgres, type PostgresServer } from "@shoal/postgres/server";
import { hourMs } from "@shoal/core/units";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { faultConfig } from "./config.ts";
import { killProcess, processesOf } from "./proc.ts";
import { shoal } from "./shoal-command.ts";
import { waitFor } from "./wait-for.ts";

const readyMsMax = 60_000;
const portFirst = 20_000;
const portEnd = 32_768;
const portTriesMax = 100;

export interface FleetOptions {
  readonly hosts: number;
  readonly regions: readonly string[];
}

export interface FleetKeys {
  readonly rootPublicKey: string;
  readonly trustFile: string;
  readonly controlPlaneKeyFile: string;
  readonly builderKeyFile: string;
}

/** What can be killed and started: Shoal's processes and Postgres alike. */
export interface Member {
  readonly name: string;
  readonly pid: number | undefined;
  start(): Promise<unknown>;
  kill(): Promise<void>;
  stop(): Promise<unknown>;
}

export class Fleet implements AsyncDisposable {
  readonly dir: string;
  readonly keys: FleetKeys;
  readonly members: Map<string, Member> = new Map();
  readonly #ports: Ports = new Ports();
  #client: Client | null = null;
  #url = "";
  #nodePath = process.execPath;

  private constructor(dir: string, keys: FleetKeys) {
    this.dir = dir;
    this.keys = keys;
  }

  /** Starts everything; whatever was started is ended again when it doesn't come up. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = await Fleet.empty();
    try {
      await fleet.startControl();
      for (const [index, region] of options.regions.entries()) {
        await fleet.client.regions.create({ name: region, home: index === 0, inService: true });
      }
      const seeders = await Promise.all(options.regions.map((name) => fleet.addSeeder(name)));
      await fleet.addBuilder("builder-1");
      for (let index = 0; index < options.hosts; index += 1) {
        const seeder = seeders[index % seeders.length];
        if (seeder !== undefined) await fleet.addHost(`host-${index + 1}`, seeder);
      }
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A folder and keys; nothing runs. */
  static async empty(): Promise<Fleet> {
    const dir = await mkdtemp(join(tmpdir(), "shoal-faults-"));
    // Builds, Postgres and programs run as other users: they must be able to pass, not to look.
    await chmod(dir, 0o711);
    const made = await shoal(["keys", "create", join(dir, "keys"), "--json"]);
    if (made.status !== 0) throw new Error(made.stderr);
    const fleet = new Fleet(dir, JSON.parse(made.stdout) as FleetKeys);
    fleet.#nodePath = await reachableNode(dir);
    return fleet;
  }

  get client(): Client {
    if (this.#client === null) throw new Error("the control plane was never started");
    return this.#client;
  }

  get url(): string {
    return this.#url;
  }

  get tokenFile(): string {
    return join(this.dir, "admin-token");
  }

  member(name: string): Member {
    const member = this.members.get(name);
    if (member === undefined) throw new Error(`there is no ${name}`);
    return member;
  }

  /** Postgres and control plane. */
  async startControl(differences: Differences = {}): Promise<void> {
    const postgres = new Postgres(await this.#folder("postgres"), await this.#ports.next());
    this.members.set(postgres.name, postgres);
    const databaseUrl = await postgres.start();
    const token = randomBytes(32).toString("base64url");
    await writeFile(this.tokenFile, `${token}\n`, { mode: 0o600 });
    const port = await this.#ports.next();
    await this.#add("control-plane", "control-plane", (stateDir) => ({
      ...{ stateDir, databaseUrl, port, bakeMs: 100 },
      ...{ adminTokenFile: this.tokenFile, keyFile: this.keys.controlPlaneKeyFile },
      ...this.#trust(),
      ...differences,
    }));
    this.#url = `http://127.0.0.1:${port}`;
    this.#client = createClient({ url: this.#url, token });
  }

  /** The seeder of a region, as hosts are told of it. */
  async seederOf(name: string): Promise<Seeder> {
    const { items } = await this.client.regions.list();
    const seeder = items.find((region) => region.name === name)?.seeders[0];
    if (seeder === undefined) throw new Error(`there is no seeder in ${name}`);
    return { region: name, url: seeder.url, peerId: seeder.peerId };
  }

  async addSeeder(region: string, differences: Differences = {}): Promise<Seeder> {
    const name = `seeder-${region}`;
    const joinToken = await this.joinToken(region, "seeder");
    const port = await this.#ports.next();
    const swarmPort = await this.#ports.next();
    const ready = await this.#add(name, "seeder", (stateDir) => ({
      ...{ name, stateDir, joinToken, port, controlPlaneUrl: this.#url },
      swarmListen: [`/ip4/127.0.0.1/tcp/${swarmPort}`],
      ...this.#trust(),
      ...differences,
    }));
    return { region, url: String(ready["url"]), peerId: String(ready["peerId"]) };
  }

  async addBuilder(name: string, differences: Differences = {}): Promise<void> {
    const [home] = (await this.client.regions.list()).items;
    const joinToken = await this.joinToken(home?.name ?? "", "builder");
    const sandbox = await usableSandbox();
    await this.#add(name, "builder", (workDir) => ({
      ...{ name, workDir, joinToken, sandbox, controlPlaneUrl: this.#url },
      keyFile: this.keys.builderKeyFile,
      ...differences,
    }));
  }

  async addHost(hostId: string, seeder: Seeder, differences: Differences = {}): Promise<void> {
    await (await this.prepareHost(hostId, seeder, differences)).start();
  }

  /** A host with all that it needs to join, which doesn't run yet. */
  async prepareHost(
    hostId: string,
    seeder: Seeder,
    differences: Differences = {},
  ): Promise<Member> {
    const { region, url, peerId } = seeder;
    const joinToken = differences["joinToken"] ?? (await this.joinToken(region));
    const swarmPort = await this.#ports.next();
    return this.#prepare(hostId, "host-agent", (stateDir) => ({
      ...{ hostId, region, stateDir, joinToken, nodePath: this.#nodePath },
      seeders: [{ url, peerId }],
      swarmListen: [`/ip4/127.0.0.1/tcp/${swarmPort}`],
      ...this.#trust(),
      ...differences,
    }));
  }

  /** Good for one. */
  async joinToken(region: string, role: "host" | "builder" | "seeder" = "host"): Promise<string> {
    const input = { role, region, usesMax: 1, ttlMs: hourMs };
    return (await this.client.joinTokens.create(input)).token;
  }

  /** Where a process keeps its state. */
  stateDir(name: string): string {
    return join(this.dir, name);
  }

  async hosts(): Promise<readonly HostStatus[]> {
    return (await this.client.hosts.list({ limit: 200 })).items;
  }

  /** Ends every process, programs of hosts too. */
  async stopAll(): Promise<void> {
    for (const member of [...this.members.values()].toReversed()) await member.stop();
    for (const { pid } of await this.programs()) killProcess(pid);
  }

  /** Ends everything, programs of hosts too, removes the folder, and throws when a process is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAll();
    try {
      await waitFor("every process of the fleet to be gone", 10_000, async () =>
        (await processesOf(this.dir)).length === 0 ? true : null,
      );
    } catch (error) {
      const left = (await processesOf(this.dir)).map(({ pid, command }) => `${pid} ${command}`);
      throw new Error(`left behind: ${left.join("; ")}`, { cause: error });
    } finally {
      await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** What the hosts' services run. They outlive their agents on purpose. */
  async programs(): Promise<Awaited<ReturnType<typeof processesOf>>> {
    const found = await processesOf(this.dir);
    const members = new Set([...this.members.values()].map(({ pid }) => pid));
    return found.filter(({ pid, command }) => !members.has(pid) && command.startsWith("sleep "));
  }

  #trust(): Differences {
    return { trustFile: this.keys.trustFile, rootPublicKey: this.keys.rootPublicKey };
  }

  async #add(
    name: string,
    room: Room,
    configure: (stateDir: string) => Differences,
  ): Promise<Differences> {
    return (await this.#prepare(name, room, configure)).start();
  }

  async #prepare(
    name: string,
    room: Room,
    configure: (stateDir: string) => Differences,
  ): Promise<ChildDaemon> {
    const config = configure(await this.#folder(name));
    const child = new ChildDaemon({
      name,
      room,
      dir: this.dir,
      config,
      searchPath: faultConfig.searchPath,
      readyMsMax,
    });
    this.members.set(name, child);
    return child;
  }

  async #folder(name: string): Promise<string> {
    const path = join(this.dir, name);
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
    return path;
  }
}

export interface Seeder {
  readonly region: string;
  readonly url: string;
  readonly peerId: string;
}

type Differences = Readonly<Record<string, unknown>>;

class Postgres implements Member {
  readonly name = "postgres";
  readonly #dir: string;
  readonly #port: number;
  #server: PostgresServer | null = null;

  constructor(dir: string, port: number) {
    this.#dir = dir;
    this.#port = port;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async start(): Promise<string> {
    const log = { info: () => {}, warn: () => {} };
    this.#server = await startPostgres({ dir: this.#dir, port: this.#port, log });
    return this.#server.url;
  }

  /** The server process only: what it leaves behind is for the next start to clear. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    process.kill(server.pid, "SIGKILL");
    await server.exited;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }
}

/** Free ports; none is given out twice. */
class Ports {
  readonly #given: Set<number> = new Set();

  async next(): Promise<number> {
    for (;;) {
      const port = await freePort();
      if (this.#given.has(port)) continue;
      this.#given.add(port);
      return port;
    }
  }
}

/**
 * Of those that Linux gives to no outgoing connection (from 32768 on): somebody else's would be in the way of a
 * process that is killed and started again on the same port.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portTriesMax; tries += 1) {
    const port = randomInt(portFirst, portEnd);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`none of ${portTriesMax} ports was free`);
}

/** As `shoal doctor` sees it: builds are isolated where they can be. */
export async function usableSandbox(): Promise<"bubblewrap" | "none"> {
  const { findings } = JSON.parse((await shoal(["doctor", "--json"])).stdout) as {
    readonly findings: readonly { readonly check: string; readonly level: string }[];
  };
  const needed = findings.filter(({ check }) => /bubblewrap|user namespaces/.test(check));
  return needed.length === 2 && needed.every(({ level }) => level === "ok") ? "bubblewrap" : "none";
}

/** Programs of root's agents run as another user, who may not be able to reach our Node. */
async function reachableNode(dir: string): Promise<string> {
  if (process.getuid?.() !== 0) return process.execPath;
  for (let path = process.execPath; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) !== 0) continue;
    const copy = join(dir, "node");
    await copyFile(process.execPath, copy);
    return copy;
  }
  return process.execPath;
}
