// Runs one scenario and says how it went.
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { StreamDigest, toHex } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { describeWaits } from "@shoal/core/swarm/waits-for";
import type { Bytes, Millis } from "@shoal/core/units";
import { Checker } from "./checker.ts";
import { populate, scheduleDeaths } from "./population.ts";
import { bytesPerMs, type Scenario } from "./scenario.ts";
import type { SimHost } from "./sim-host.ts";
import { World } from "./world.ts";

export interface RunReport {
  readonly boundMs: Millis;
  /** From each honest host's joining to its end; Infinity for those that didn't finish. Ascending. */
  readonly tookMs: readonly Millis[];
  readonly lastMs: Millis;
  /** Of hosts that are neither slow nor ever died: those that faults of others alone can hold up. */
  readonly healthyP99Ms: Millis;
  /** Whether every host that neither lies nor is silent has finished. */
  readonly isDone: boolean;
  /** Of honest hosts that didn't finish: who, and what each waits for. */
  readonly unfinished: readonly string[];
  /** The first order of a host that none may give; the run ended there. Only in checked runs. */
  readonly violation: string | undefined;
  readonly events: number;
  readonly wallMs: number;
  readonly bytesFromSeeders: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly bytesDiscarded: Bytes;
  readonly bytesRefused: Bytes;
  /** Of all log events with their hosts, in order: the same for the same scenario on every machine. */
  readonly logDigest: string;
}

/** Told now and then how far a run is. */
export type OnProgress = (world: World, doneCount: number) => void;

const eventsBetweenProgress = 200_000;
/** Every piece of every host is logged in worlds up to so many. */
const loggedPiecesMax = 500_000;

/** The best possible spread from one seeder at the hosts' rate: every piece goes out once. */
export function boundMs({ artifactBytes, mbit, hosts }: Scenario, pieces: number): Millis {
  return (artifactBytes / bytesPerMs(mbit)) * (1 + Math.floor(Math.log2(hosts)) / pieces);
}

/** `config` is for hosts that aren't ours: a baseline. */
export function runScenario(
  scenario: Scenario,
  onProgress: OnProgress,
  config: Partial<SwarmConfig> = {},
): RunReport {
  const startedAt = performance.now();
  const done = new Set<SimHost>();
  const log = new EventLog();
  const pieces = new PiecesOut();
  const world = new World(scenario, {
    log: (host, event) => {
      log.add(host, event);
      pieces.note(host, event);
    },
    completed: (host) => {
      if (isHonest(host)) done.add(host);
    },
    killed: (host) => done.delete(host),
  });
  const logPieces = scenario.hosts * world.pieces.count <= loggedPiecesMax || scenario.seedersDie;
  const checker = logPieces ? new Checker(world) : undefined;
  world.inspector = checker;
  const hosts = populate(world, { logPieces, ...budgetsOf(scenario), ...config });
  scheduleDeaths(world, hosts, new Prng(scenario.seed).child(7));
  const honest = hosts.filter(isHonest);
  let soon = eventsBetweenProgress;
  world.run(scenario.patienceMs, () => {
    if (world.events >= soon) {
      soon += eventsBetweenProgress;
      onProgress(world, done.size);
    }
    if (scenario.seedersDie && pieces.count === world.pieces.count) killSeeders(world);
    return done.size === honest.length || checker?.violation !== undefined;
  });
  const wallMs = performance.now() - startedAt;
  const violation = checker?.violation;
  const isDone = violation === undefined && done.size === honest.length;
  const ended = { isDone, violation, events: world.events, wallMs, logDigest: log.finish() };
  return { ...ended, ...outcomeOf(world, honest) };
}

function outcomeOf(
  world: World,
  honest: readonly SimHost[],
): Omit<RunReport, "isDone" | "violation" | "events" | "wallMs" | "logDigest"> {
  const total = (
    of: "bytesFromSeeders" | "bytesFromPeers" | "bytesDiscarded" | "bytesRefused",
  ): Bytes => honest.reduce((sum, host) => sum + (host.progress?.[of] ?? 0), 0);
  const healthy = honest.filter(({ nature, life }) => !nature.isSlow && life === 0);
  return {
    boundMs: boundMs(world.scenario, world.pieces.count),
    tookMs: timesOf(honest),
    unfinished: honest.filter(({ completeMs }) => completeMs === undefined).map(waitOf),
    healthyP99Ms: quantile(timesOf(healthy), 0.99),
    lastMs: Math.max(...honest.map(({ completeMs = Infinity }) => completeMs)),
    bytesFromSeeders: total("bytesFromSeeders"),
    bytesFromPeers: total("bytesFromPeers"),
    bytesDiscarded: total("bytesDiscarded"),
    bytesRefused: total("bytesRefused"),
  };
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
  return hosts
    .map(({ completeMs = Infinity, joinedMs = 0 }) => completeMs - joinedMs)
    .toSorted((a, b) => a - b);
}

/** Of ascending values; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}

function isHonest({ nature }: SimHost): boolean {
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
