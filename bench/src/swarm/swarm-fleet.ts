// One region of real processes for measurements of the swarm: Postgres, control plane, a builder, a
// seeder and host agents, each agent a process of its own. Hosts come up without anything to do; a
// deploy then gives all of them the same artifact of random bytes at once.
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient } from "@shoal/api/client";
import { hourMs, mebibyte } from "@shoal/core/units";
import { ChildDaemon, type ReadyLine } from "@shoal/daemon/child-daemon";
import type { Room } from "@shoal/daemon/room-main";
import { startPostgres } from "@shoal/postgres/server";
import { adminToken, makeKeys, type BenchKeys } from "../queue/control-planes.ts";
import { EventTail } from "./event-tail.ts";

/** Where a process runs: its address, and what to put before its command line to be there. */
export interface Place {
  readonly address: string;
  readonly prefix: readonly string[];
}

export interface SwarmFleetOptions {
  /** Control plane and builder are at `control`, the seeder at `seeder`, hosts at `host-<n>` from 1 on. */
  place(machine: string): Place;
  readonly progress: (text: string) => void;
}

export interface FleetHost {
  readonly name: string;
  readonly agent: ChildDaemon;
  readonly events: EventTail;
  readonly stateDir: string;
  /** What its ready line told. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface BuiltArtifact {
  readonly build: number;
  readonly artifact: string;
  readonly bytes: number;
}

/** Agents that start at once: more would only wait for the same cores. */
const startsAtOnce = 4;
const buildMsMax = 600_000;
const readyMsMax = 120_000;
const rolloutMsMax = 120_000;
/** `ip`, `tc` and git are found here whatever the caller's own path is. */
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What is deployed. */
export const service = "random";
const local: Place = { address: "127.0.0.1", prefix: [] };

/** Everything on this machine's loopback. */
export function onLoopback(): Place {
  return local;
}

export class SwarmFleet implements AsyncDisposable {
  readonly hosts: FleetHost[] = [];
  readonly #options: SwarmFleetOptions;
  readonly #stack: AsyncDisposableStack = new AsyncDisposableStack();
  readonly #dir: string;
  readonly #keys: BenchKeys;
  #client: Client | null = null;
  #seeder: ChildDaemon | null = null;
  #url = "";
  #seederUrl = "";
  #seederId = "";
  #commits = 0;

  private constructor(options: SwarmFleetOptions, dir: string, keys: BenchKeys) {
    this.#options = options;
    this.#dir = dir;
    this.#keys = keys;
  }

  /** Starts everything; what was started is ended again when something doesn't come up. */
  static async start(options: SwarmFleetOptions): Promise<SwarmFleet> {
    const dir = await mkdtemp(join(tmpdir(), "shoal-swarm-"));
    // Postgres runs as another user, who must be able to pass.
    await chmod(dir, 0o711);
    const fleet = new SwarmFleet(options, dir, await makeKeys(join(dir, "keys")));
    fleet.#stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
    try {
      const url = await fleet.#startControl();
      await fleet.#startSeeder(url);
      await fleet.#startBuilder(url);
      await fleet.#createProject();
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  get client(): Client {
    if (this.#client === null) throw new Error("the control plane doesn't run yet");
    return this.#client;
  }

  /** Where the control plane listens. */
  get url(): string {
    return this.#url;
  }

  /** What the region's trust stands on, for members that aren't agents. */
  get keys(): BenchKeys {
    return this.#keys;
  }

  get seeder(): ChildDaemon {
    if (this.#seeder === null) throw new Error("the seeder doesn't run yet");
    return this.#seeder;
  }

  /** Starts hosts until there are so many; they have joined the region when this resolves. */
  async startHosts(count: number): Promise<void> {
    const { progress } = this.#options;
    const joinToken = await this.#joinToken("host", count);
    const numbers = Array.from({ length: count }, (_unused, index) => index + 1);
    const waiting = numbers.slice(this.hosts.length).map((number) => `host-${number}`);
    const startNext = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        await this.#startHost(name, joinToken);
        progress(`${this.hosts.length} of ${count} agents run`);
      }
    };
    await Promise.all(Array.from({ length: startsAtOnce }, startNext));
  }

  /** Random bytes that no host has; the seeder holds them when this resolves. */
  async build(mib: number): Promise<BuiltArtifact> {
    const repository = join(this.#dir, "random");
    this.#commits += 1;
    await writeFile(join(repository, "size"), String(mib * mebibyte));
    await writeFile(join(repository, "count"), String(this.#commits));
    git(repository, "add", ".");
    git(repository, "commit", "--quiet", "--message", `${mib} MiB`);
    const commit = git(repository, "rev-parse", "HEAD");
    const { id } = await this.client.builds.start({ project: service, commit, priority: 0 });
    const untilMs = performance.now() + buildMsMax;
    for (;;) {
      const { state, artifact, artifactBytes, failure } = await this.client.builds.get(id);
      if (failure !== null) throw new Error(`build ${id}: ${failure.message}`);
      if (state === "SUCCEEDED" && artifact !== null) {
        return { build: id, artifact, bytes: artifactBytes ?? 0 };
      }
      if (performance.now() > untilMs) throw new Error(`build ${id} takes too long`);
      await sleep(200);
    }
  }

  /** Tells all hosts to fetch it; answers when that was, on the wall clock. */
  async deploy({ build }: BuiltArtifact): Promise<number> {
    const startedAt = Date.now();
    await this.client.services.deploy("production", service, { build });
    return startedAt;
  }

  /** The next deploy may begin: a rollout ends some time after the last host has everything. */
  async rolloutEnded(): Promise<void> {
    const untilMs = performance.now() + rolloutMsMax;
    for (;;) {
      const [rollout] = (await this.client.rollouts.list({ limit: 1 })).items;
      if (rollout === undefined || rollout.endedAt !== null) return;
      if (performance.now() > untilMs)
        throw new Error(`the rollout doesn't end: ${rollout.reason}`);
      await sleep(200);
    }
  }

  /** Ends every process and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map(({ agent }) => agent.stop()));
    await this.#stack.disposeAsync();
  }

  async #startHost(name: string, joinToken: string): Promise<void> {
    const stateDir = await this.#folder(name);
    const agent = await this.#start(name, "host-agent", name, {
      ...{ hostId: name, region, stateDir, joinToken },
      seeders: [{ url: this.#seederUrl, peerId: this.#seederId }],
      ...this.#listen(name),
      ...{ stopProgramsOnExit: true, runUid: ownUid, runGid: ownUid },
      ...this.#trust(),
    });
    const events = new EventTail(stateDir);
    this.hosts.push({ name, agent: agent.process, events, stateDir, facts: agent.ready });
  }

  async #startControl(): Promise<string> {
    this.#options.progress("starting Postgres, control plane, seeder and builder");
    const { address } = this.#options.place("control");
    const log = { info: () => undefined, warn: () => undefined };
    const postgres = await startPostgres({ dir: await this.#folder("postgres"), log });
    this.#stack.defer(() => postgres.stop());
    const started = await this.#start("control-plane", "control-plane", "control", {
      ...{ stateDir: await this.#folder("control-plane"), databaseUrl: postgres.url },
      ...{ host: address, port: 0, ...this.#keys.settings },
    });
    const url = String(started.ready["url"]);
    this.#url = url;
    this.#client = createClient({ url, token: adminToken });
    await this.client.regions.create({ name: region, home: true, inService: true });
    return url;
  }

  async #startSeeder(controlPlaneUrl: string): Promise<void> {
    const { address } = this.#options.place("seeder");
    const joinToken = await this.#joinToken("seeder", 1);
    const started = await this.#start("seeder", "seeder", "seeder", {
      ...{ name: "seeder", stateDir: await this.#folder("seeder"), controlPlaneUrl, joinToken },
      ...{ host: address, port: 0, ...this.#listen("seeder"), ...this.#trust() },
    });
    this.#seeder = started.process;
    this.#seederUrl = String(started.ready["url"]);
    this.#seederId = String(started.ready["peerId"]);
  }

  async #startBuilder(controlPlaneUrl: string): Promise<void> {
    const joinToken = await this.#joinToken("builder", 1);
    await this.#start("builder", "builder", "control", {
      ...{ name: "builder", workDir: await this.#folder("builder"), joinToken, controlPlaneUrl },
      ...{ keyFile: join(this.#dir, "keys", "builder.jwk"), sandbox: "none" },
    });
  }

  async #joinToken(role: "host" | "builder" | "seeder", usesMax: number): Promise<string> {
    const input = { role, region, usesMax, ttlMs: hourMs };
    return (await this.client.joinTokens.create(input)).token;
  }

  async #createProject(): Promise<void> {
    const remoteUrl = join(this.#dir, "random");
    await mkdir(remoteUrl);
    git(remoteUrl, "init", "--quiet");
    const buildCommand = 'head -c "$(cat size)" /dev/urandom > bytes';
    await this.client.projects.create({
      ...{ name: service, remoteUrl, buildCommand, artifactPath: "bytes" },
    });
    await this.client.services.create({ name: service, project: service, run: idle });
  }

  async #start(
    name: string,
    room: Room,
    machine: string,
    config: Readonly<Record<string, unknown>>,
  ): Promise<{ process: ChildDaemon; ready: ReadyLine }> {
    const { prefix } = this.#options.place(machine);
    const child = new ChildDaemon({
      name,
      room,
      dir: this.#dir,
      config,
      searchPath,
      prefix,
      readyMsMax,
    });
    this.#stack.defer(async () => void (await child.stop()));
    return { process: child, ready: await child.start() };
  }

  #listen(machine: string): Readonly<Record<string, unknown>> {
    const listen = [`/ip4/${this.#options.place(machine).address}/tcp/0`];
    return { swarmListen: listen, bulkListen: listen };
  }

  #trust(): Readonly<Record<string, unknown>> {
    const { trustFile, rootPublicKey } = this.#keys.settings;
    return { trustFile, rootPublicKey };
  }

  async #folder(name: string): Promise<string> {
    const path = join(this.#dir, name);
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
    return path;
  }
}

function git(repository: string, ...args: readonly string[]): string {
  const who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
  return execFileSync("git", [...who, ...args], { cwd: repository, encoding: "utf8" }).trim();
}

export const region = "bench";
const ownUid = process.getuid?.() ?? 65_534;
/** What hosts run once they have it: as little as can be. */
const idle = {
  command: ["sleep", "1000000"],
  // The next deploy waits until every host has run this one for as long.
  health: { type: "none", startupMs: 1000 },
} as const;
