// `bench swarm`: host agents as real processes on the loopback of one machine are told of an artifact at
// the same time, and all must get it: undisturbed, with some of them killed at random and started again,
// and with the seeder killed for good once each piece is at some host. It shows that nobody is lost; how
// long it takes on so few cores says little about machines of their own. With `--with libtorrent` or
// `--plain`, which are about speed and CPU, nobody is killed, and the runs are those of `bench transfer`.
import type { Command } from "commander";
import { Prng } from "@shoal/core/prng";
import { type Finish, rounded, type Measured } from "../result.ts";
import { compare } from "../transfer/comparison.ts";
import { onLoopback, SwarmFleet } from "./swarm-fleet.ts";
import { quantile, SwarmWatch } from "./swarm-watch.ts";

interface SwarmOptions {
  readonly hosts: number;
  readonly mib: number;
  readonly kill: number;
  readonly seedersDie?: boolean;
  readonly seed: number;
  readonly runs: number;
  readonly with?: string;
  readonly plain?: boolean;
  readonly json?: boolean;
}

const finishMsMax = 300_000;

export function addSwarmBench(program: Command, finish: Finish): void {
  program
    .command("swarm")
    .description("Real agents on one machine fetch the same artifact at once")
    .option("--hosts <number>", "agents, each a process", Number, 40)
    .option("--mib <number>", "size of the artifact", Number, 64)
    .option(
      "--kill <number>",
      "agents to kill at random while they fetch, and to start again",
      Number,
      0,
    )
    .option("--seeders-die", "kill the seeder once each piece is at some host")
    .option("--seed <number>", "which agents are killed and when", Number, 1)
    .option("--with <tool>", "measure libtorrent alternately with ours")
    .option("--plain", "without encryption")
    .option("--runs <number>", "of these two: artifacts, one after the other", Number, 3)
    .option("--json", "print the JSON line alone")
    .action(async (options: SwarmOptions) => {
      if (options.with !== undefined || options.plain !== undefined) {
        const { hosts, mib, runs, plain = false } = options;
        const compared = await compare({ hosts, mib, runs, plain, with: options.with });
        finish("swarm", compared, options.json === true);
        return;
      }
      const measured = await measureSwarm(options);
      finish("swarm", measured, options.json === true);
      if (measured.figures["hostsDone"] !== options.hosts) process.exitCode = 3;
    });
}

async function measureSwarm(options: SwarmOptions): Promise<Measured> {
  const { hosts, mib, kill, seedersDie = false, seed } = options;
  const progress = (text: string): unknown => process.stderr.write(`${text}\n`);
  await using fleet = await SwarmFleet.start({ place: onLoopback, progress });
  await fleet.startHosts(hosts);
  const artifact = await fleet.build(mib);
  progress("deploying");
  const watch = new SwarmWatch(fleet.hosts, artifact.artifact);
  const startedAt = await fleet.deploy(artifact);
  const disturbance = new Disturbance(fleet, watch, { kill, seedersDie, seed, progress });
  await watch.until(async () => {
    await disturbance.look();
    return watch.doneCount === hosts && disturbance.isOver;
  }, finishMsMax);
  await disturbance.settled();
  const settings = { hosts, mib, kill, seedersDie, seed };
  return { settings, ...reportOf(watch, startedAt, disturbance) };
}

interface DisturbanceOptions {
  readonly kill: number;
  readonly seedersDie: boolean;
  readonly seed: number;
  readonly progress: (text: string) => unknown;
}

/** Kills what the options say: agents evenly over the fleet's progress, the seeder when it isn't needed. */
class Disturbance {
  killed = 0;
  /** Of those, agents that still lacked something. */
  killedIncomplete = 0;
  seederDiedAt: number | undefined;
  /** Hosts that were done when the seeder died. */
  doneBeforeSeederDied = 0;
  readonly #fleet: SwarmFleet;
  readonly #watch: SwarmWatch;
  readonly #options: DisturbanceOptions;
  readonly #prng: Prng;
  readonly #spared: Set<string>;
  readonly #restarts: Promise<unknown>[] = [];

  constructor(fleet: SwarmFleet, watch: SwarmWatch, options: DisturbanceOptions) {
    this.#fleet = fleet;
    this.#watch = watch;
    this.#options = options;
    this.#prng = new Prng(options.seed);
    this.#spared = new Set(fleet.hosts.map(({ name }) => name));
  }

  get isOver(): boolean {
    const { kill, seedersDie } = this.#options;
    return this.killed >= kill && (!seedersDie || this.seederDiedAt !== undefined);
  }

  async look(): Promise<void> {
    const { kill, seedersDie, progress } = this.#options;
    const { share, piecesCount } = this.#watch;
    while (this.killed < kill && share >= (this.killed + 1) / (kill + 2)) await this.#killOne();
    if (!seedersDie || this.seederDiedAt !== undefined) return;
    if (this.#watch.piecesOut < piecesCount) return;
    this.seederDiedAt = Date.now();
    this.doneBeforeSeederDied = this.#watch.doneCount;
    await this.#fleet.seeder.kill();
    progress(`killed the seeder; ${this.doneBeforeSeederDied} hosts were done`);
  }

  /** Resolves when every killed agent runs again. */
  async settled(): Promise<void> {
    await Promise.all(this.#restarts);
  }

  async #killOne(): Promise<void> {
    const candidates = this.#watch.hosts.filter(({ host }) => this.#spared.has(host.name));
    const incomplete = candidates.filter(({ completedAt }) => completedAt === undefined);
    const among = incomplete.length > 0 ? incomplete : candidates;
    const victim = among[this.#prng.below(among.length)];
    this.killed += 1;
    if (victim === undefined) return;
    if (victim.completedAt === undefined) this.killedIncomplete += 1;
    const { name, agent } = victim.host;
    this.#spared.delete(name);
    await agent.kill();
    this.#options.progress(`killed ${name}, which had ${victim.pieces.size} pieces`);
    this.#restarts.push(agent.start());
  }
}

function reportOf(
  watch: SwarmWatch,
  startedAt: number,
  disturbance: Disturbance,
): Pick<Measured, "runs" | "figures"> {
  const runs = watch.hosts.map(({ host, joinedAt, completedAt, ...rest }) => ({
    host: host.name,
    joinedMs: joinedAt === undefined ? null : joinedAt - startedAt,
    doneMs: completedAt === undefined ? null : completedAt - startedAt,
    links: rest.links,
    dialsFailed: rest.dialsFailed,
    drops: Object.fromEntries(rest.drops),
  }));
  const took = runs.flatMap(({ doneMs }) => doneMs ?? []).toSorted((a, b) => a - b);
  const joined = runs.flatMap(({ joinedMs }) => joinedMs ?? []).toSorted((a, b) => a - b);
  const { killed, killedIncomplete, seederDiedAt, doneBeforeSeederDied } = disturbance;
  return {
    runs,
    figures: {
      hostsDone: took.length,
      lastJoinedSeconds: rounded((joined.at(-1) ?? Number.NaN) / 1000),
      p50Seconds: rounded(quantile(took, 0.5) / 1000),
      lastHostSeconds: rounded((took.at(-1) ?? Number.NaN) / 1000),
      killed,
      killedIncomplete,
      ...(seederDiedAt === undefined
        ? {}
        : {
            seederDiedSeconds: rounded((seederDiedAt - startedAt) / 1000),
            hostsDoneBeforeSeederDied: doneBeforeSeederDied,
          }),
    },
  };
}
