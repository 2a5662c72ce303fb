// One artifact over the machines of the test network, and how near it came to the bound.
import { quantile, SwarmWatch } from "../swarm/swarm-watch.ts";
import type { BuiltArtifact, SwarmFleet } from "../swarm/swarm-fleet.ts";

export interface Spread {
  readonly bytes: number;
  readonly pieces: number;
  /** From the first host's joining to each host's end; ascending. */
  readonly tookMs: readonly number[];
  /** From the deploy to the first host's joining. */
  readonly toldMs: number;
  readonly p50Ms: number;
  readonly lastMs: number;
}

/** Deploys and waits until all hosts of the fleet have it. @throws when not all do in time. */
export async function spreadOut(
  fleet: SwarmFleet,
  artifact: BuiltArtifact,
  timeoutMs: number,
): Promise<Spread> {
  await fleet.rolloutEnded();
  const watch = new SwarmWatch(fleet.hosts, artifact.artifact);
  const deployedAt = await fleet.deploy(artifact);
  const isDone = await watch.until(() => watch.doneCount === fleet.hosts.length, timeoutMs);
  const done = watch.hosts.flatMap(({ completedAt }) => completedAt ?? []);
  if (!isDone) throw new Error(`${done.length} of ${fleet.hosts.length} hosts are done in time`);
  const joinedAt = Math.min(...watch.hosts.map(({ joinedAt: at = Infinity }) => at));
  const tookMs = done.map((at) => at - joinedAt).toSorted((a, b) => a - b);
  return {
    bytes: artifact.bytes,
    pieces: watch.piecesCount,
    tookMs,
    toldMs: joinedAt - deployedAt,
    p50Ms: quantile(tookMs, 0.5),
    lastMs: tookMs.at(-1) ?? Number.NaN,
  };
}

/** The best possible spread from one seeder at a rate: every piece goes out once. */
export function boundMs(bytes: number, mbit: number, hosts: number, pieces: number): number {
  return ((bytes * 8) / (mbit * 1000)) * (1 + Math.floor(Math.log2(hosts)) / pieces);
}
