// Runs one scenario and says how it went.
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { assert } from "@shoal/core/error";
import { StreamDigest, toHex } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { describeWaits } from "@shoal/core/swarm/waits-for";
import type { Bytes, Millis } from "@shoal/core/units";
import { Checker } from "./checker.ts";
import { onlyLane, type Lane } from "./lane.ts";
import { populate, scheduleDeaths } from "./population.ts";
import { boundMs, reportOf, type LaneOutcome, type RunReport } from "./report.ts";
import { bytesPerMs, type Scenario } from "./scenario.ts";
import type { SimHost, Site } from "./sim-host.ts";
import { World } from "./world.ts";

export interface Progress {
  readonly now: Millis;
  readonly boundMs: Millis;
  readonly events: number;
  readonly doneCount: number;
}

/** Told now and then how far a run is. */
export type OnProgress = (progress: Progress) => void;

const eventsBetweenProgress = 200_000;
/** Every piece of every host is logged in worlds up to so many. */
const loggedPiecesMax = 500_000;

/** Runs a world of one lane. `config` is for hosts that aren't ours: a baseline. */
export function runScenario(
  scenario: Scenario,
  onProgress: OnProgress,
  config: Partial<SwarmConfig> = {},
): RunReport {
  assert(scenario.lanes === 1, "a world of several lanes takes several threads");
  const startedAt = performance.now();
  const run = new LaneRun(scenario, config);
  let soon = eventsBetweenProgress;
  run.go(scenario.patienceMs, () => {
    if (run.events < soon) return;
    soon += eventsBetweenProgress;
    onProgress(run.progress);
  });
  return reportOf(scenario, performance.now() - startedAt, [run.finish()]);
}

/** The hosts of one lane, and their books. */
export class LaneRun {
  readonly world: World;
  /** Of all lanes, those whose end is waited for. */
  readonly honestCount: number;
  readonly #done: Set<SimHost> = new Set();
  readonly #log = new EventLog();
  readonly #out = new PiecesOut();
  readonly #checker: Checker | undefined;

  /** What several lanes do isn't checked: a checker knows all hosts. */
  constructor(scenario: Scenario, config: Partial<SwarmConfig>, lane: Lane = onlyLane) {
    const done = this.#done;
    const world = new World(
      scenario,
      {
        log: (host, event) => {
          this.#log.add(host, event);
          this.#out.note(host, event);
        },
        completed: (host) => {
          if (isHonest(host)) done.add(host);
        },
        killed: (host) => done.delete(host),
      },
      lane,
    );
    this.world = world;
    const { count } = world.pieces;
    const logPieces = scenario.hosts * count <= loggedPiecesMax || scenario.seedersDie;
    this.#checker = logPieces && lane.count === 1 ? new Checker(world) : undefined;
    world.inspector = this.#checker;
    populate(world, { logPieces, ...budgetsOf(scenario), ...config });
    scheduleDeaths(world, new Prng(scenario.seed).child(7));
    this.honestCount = world.sites.filter(isHonest).length;
  }

  get doneCount(): number {
    return this.#done.size;
  }

  get events(): number {
    return this.world.events;
  }

  get progress(): Progress {
    const { now, events, scenario, pieces } = this.world;
    return { now, events, doneCount: this.doneCount, boundMs: boundMs(scenario, pieces.count) };
  }

  /** Runs all of a world's events before a time, up to its end or a violation. Calls between events. */
  go(beforeMs: Millis, between: () => void): void {
    const { world } = this;
    const { seedersDie } = world.scenario;
    world.run(beforeMs, () => {
      between();
      if (seedersDie && this.#out.count === world.pieces.count) killSeeders(world);
      return this.doneCount === this.honestCount || this.#checker?.violation !== undefined;
    });
  }

  finish(): LaneOutcome {
    const honest = this.world.hosts.filter(isHonest);
    const total = (
      of: "bytesFromSeeders" | "bytesFromPeers" | "bytesDiscarded" | "bytesRefused",
    ): Bytes => honest.reduce((sum, host) => sum + (host.progress?.[of] ?? 0), 0);
    const healthy = honest.filter(({ nature, life }) => !nature.isSlow && life === 0);
    return {
      pieces: this.world.pieces.count,
      tookMs: timesOf(honest),
      healthyTookMs: timesOf(healthy),
      unfinished: honest.filter(({ completeMs }) => completeMs === undefined).map(waitOf),
      lastMs: Math.max(0, ...honest.map(({ completeMs = Infinity }) => completeMs)),
      bytesFromSeeders: total("bytesFromSeeders"),
      bytesFromPeers: total("bytesFromPeers"),
      bytesDiscarded: total("bytesDiscarded"),
      bytesRefused: total("bytesRefused"),
      events: this.events,
      violation: this.#checker?.violation,
      logDigest: this.#log.finish(),
    };
  }
}

function waitOf(host: SimHost): string {
  const { index, progress } = host;
  return `host ${index}: ${progress === undefined ? "it is dead" : describeWaits(progress.waits)}`;
}

function budgetsOf({ memoryBytes, farMbit }: Scenario): Partial<SwarmConfig> {
  const farBytesPerMs = farMbit === 0 ? Infinity : bytesPerMs(farMbit);
  return { downloadBytesOpenMax: memoryBytes, farBytesPerMs };
}

function timesOf(hosts: readonly SimHost[]): readonly Millis[] {
  return hosts.map(({ completeMs = Infinity, joinedMs = 0 }) => completeMs - joinedMs);
}

function isHonest({ nature }: Site): boolean {
  return !nature.isSeeder && !nature.isLying && !nature.isSilent;
}

function killSeeders(world: World): void {
  for (const host of world.hosts) if (host.nature.isSeeder && host.isAlive) world.kill(host);
}

/** Which pieces some host has got. */
class PiecesOut {
  readonly #pieces: Set<number> = new Set();

  get count(): number {
    return this.#pieces.size;
  }

  note(host: SimHost, event: SwarmLogEvent): void {
    if (event.type === "pieceStored" && isHonest(host)) this.#pieces.add(event.piece);
  }
}

/** The event log as a digest, in batches that are worth hashing. */
class EventLog {
  readonly #digest = new StreamDigest();
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];

  add(host: SimHost, event: SwarmLogEvent): void {
    this.#lines.push(`${host.index} ${JSON.stringify(event)}`);
    if (this.#lines.length >= 1000) this.#flush();
  }

  finish(): string {
    this.#flush();
    return toHex(this.#digest.finish());
  }

  #flush(): void {
    this.#digest.update(this.#encoder.encode(`${this.#lines.join("\n")}\n`));
    this.#lines = [];
  }
}
