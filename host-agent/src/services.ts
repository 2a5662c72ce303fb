// The services of this host: one runner for each that it has a goal of, or still runs a program of.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  isName,
  serviceKey,
  type ArtifactCid,
  type HostId,
  type ServiceKey,
} from "@shoal/core/ids";
import { servicesPerHostMax } from "@shoal/core/limits";
import type { Release } from "@shoal/core/rollout/release";
import { kibibyte } from "@shoal/core/units";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { Log } from "@shoal/daemon/log";
import { ActivationRecord } from "./activation-record.ts";
import type { HostGoal } from "./goals.ts";
import type { Demand } from "./pauses.ts";
import { openServiceRunner, type ServiceRunner } from "./service-runner.ts";
import { Launcher, type LauncherConfig } from "./supervise/launcher.ts";

export interface ServicesDeps {
  /** Folder of a release's artifact on disk. */
  readonly releaseDir: (release: Release) => string;
  readonly isHeld: (artifact: ArtifactCid) => boolean;
  readonly onChange: () => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
}

export interface ServicesConfig extends Omit<
  LauncherConfig,
  "serviceDir" | "environment" | "service"
> {
  /** `<dir>/<environment>/<service>` is a service's folder. */
  readonly dir: string;
  readonly hostId: HostId;
}

const activationBytesMax = 64 * kibibyte;

export class Services {
  readonly #deps: ServicesDeps;
  readonly #config: ServicesConfig;
  readonly #runners: Map<ServiceKey, ServiceRunner> = new Map();
  #isStopping = false;

  constructor(deps: ServicesDeps, config: ServicesConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** Opens every service that has a folder: its program may run on, whatever became of its goal. */
  async load(): Promise<void> {
    const { dir } = this.#config;
    await mkdir(dir, { recursive: true, mode: 0o711 });
    for (const environment of await namesIn(dir)) {
      for (const service of await namesIn(join(dir, environment)))
        await this.#open(serviceKey(environment, service));
    }
  }

  runners(): readonly ServiceRunner[] {
    return [...this.#runners.values()];
  }

  /** Which artifacts each service wants. */
  demands(): readonly Demand[] {
    return this.runners().flatMap(({ machine }) => {
      const goal = machine.goal();
      if (goal === null) return [];
      const { environment, service } = goal;
      return [
        { environment, service, artifacts: machine.wanted().map(({ artifact }) => artifact) },
      ];
    });
  }

  /** What must be on disk, the most urgent first. */
  wanted(): readonly Release[] {
    const lists = this.runners().map(({ machine }) => machine.wanted());
    const longest = Math.max(0, ...lists.map((list) => list.length));
    // What one service needs first goes before what another needs second.
    return Array.from({ length: longest }, (_, place) =>
      lists.flatMap((list) => list[place] ?? []),
    ).flat();
  }

  /** What programs run on, also when no goal names it any more. */
  occupied(): readonly ArtifactCid[] {
    return this.runners().flatMap(({ machine }) => machine.occupiedBy()?.artifact ?? []);
  }

  async take(goals: readonly HostGoal[]): Promise<void> {
    for (const { goal, selected } of goals) {
      const key = serviceKey(goal.environment, goal.service);
      const runner = this.#runners.get(key) ?? (await this.#open(key));
      if (runner === null) continue;
      runner.tell({ type: "goalAccepted", goal, selected });
      for (const { id, artifact } of runner.machine.wanted()) {
        if (this.#deps.isHeld(artifact) && !runner.machine.holds(id))
          runner.tell({ type: "releaseHeld", release: id });
      }
    }
  }

  artifactHeld(cid: ArtifactCid): void {
    this.#eachOf(cid, (runner, release) => runner.tell({ type: "releaseHeld", release }));
  }

  artifactLost(cid: ArtifactCid): void {
    this.#eachOf(cid, (runner, release) => runner.tell({ type: "releaseLost", release }));
  }

  artifactFailed(cid: ArtifactCid, code: string, message: string): void {
    this.#eachOf(cid, (runner, release) =>
      runner.tell({ type: "fetchFailed", release, code, message }),
    );
  }

  async stop(endPrograms: boolean): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.runners().map((runner) => runner.stop(endPrograms)));
  }

  #eachOf(cid: ArtifactCid, tell: (runner: ServiceRunner, release: string) => void): void {
    for (const runner of this.#runners.values()) {
      for (const { id, artifact } of runner.machine.wanted())
        if (artifact === cid) tell(runner, id);
    }
  }

  /** Null when there are too many services, or the agent is stopping. */
  async #open(key: ServiceKey): Promise<ServiceRunner | null> {
    const { dir, hostId } = this.#config;
    const { log, now, onChange } = this.#deps;
    if (this.#isStopping) return null;
    if (this.#runners.size >= servicesPerHostMax) {
      log.error({ service: key, servicesPerHostMax }, "too many services for one host");
      return null;
    }
    const serviceDir = join(dir, key);
    await mkdir(serviceDir, { recursive: true, mode: 0o711 });
    const [environment = "", service = ""] = key.split("/");
    const place = { serviceDir, environment, service };
    const launcher = new Launcher(this.#deps, { ...this.#config, ...place });
    const file = new StateFile(join(serviceDir, "activation.json"), activationBytesMax);
    const record = new ActivationRecord(file);
    const runner = await openServiceRunner(key, hostId, { launcher, record, now, onChange, log });
    this.#runners.set(key, runner);
    return runner;
  }
}

async function namesIn(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && isName(entry.name)).map((e) => e.name);
}
