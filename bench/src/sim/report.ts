// What a run came to, put together from what its lanes did.
import { StreamDigest, toHex } from "@shoal/core/digest";
import type { Bytes, Millis } from "@shoal/core/units";
import { bytesPerMs, type Scenario } from "./scenario.ts";

interface Totals {
  /** Of honest hosts that didn't finish: who, and what each waits for. */
  readonly unfinished: readonly string[];
  /** The first order of a host that none may give; the run ended there. Only in checked runs. */
  readonly violation: string | undefined;
  readonly events: number;
  readonly bytesFromSeeders: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly bytesDiscarded: Bytes;
  readonly bytesRefused: Bytes;
  /** Of all log events with their hosts, in order: the same for the same scenario on every machine. */
  readonly logDigest: string;
}

/** What the hosts of one lane came to. Goes from thread to thread. */
export interface LaneOutcome extends Totals {
  readonly pieces: number;
  /** From each honest host's joining to its end; Infinity for those that didn't finish. */
  readonly tookMs: readonly Millis[];
  /** Of hosts that are neither slow nor ever died. */
  readonly healthyTookMs: readonly Millis[];
  readonly lastMs: Millis;
}

export interface RunReport extends Totals {
  readonly boundMs: Millis;
  /** From each honest host's joining to its end; Infinity for those that didn't finish. Ascending. */
  readonly tookMs: readonly Millis[];
  readonly lastMs: Millis;
  /** Of hosts that are neither slow nor ever died: those that faults of others alone can hold up. */
  readonly healthyP99Ms: Millis;
  /** Whether every host that neither lies nor is silent has finished. */
  readonly isDone: boolean;
  readonly wallMs: number;
}

/** The best possible spread from one seeder at the hosts' rate: every piece goes out once. */
export function boundMs({ artifactBytes, mbit, hosts }: Scenario, pieces: number): Millis {
  return (artifactBytes / bytesPerMs(mbit)) * (1 + Math.floor(Math.log2(hosts)) / pieces);
}

export function reportOf(
  scenario: Scenario,
  wallMs: number,
  lanes: readonly LaneOutcome[],
): RunReport {
  const total = (of: (lane: LaneOutcome) => number): number =>
    lanes.reduce((sum, lane) => sum + of(lane), 0);
  const ascending = (of: (lane: LaneOutcome) => readonly Millis[]): readonly Millis[] =>
    lanes.flatMap(of).toSorted((a, b) => a - b);
  const unfinished = lanes.flatMap((lane) => lane.unfinished);
  const violation = lanes.find((lane) => lane.violation !== undefined)?.violation;
  return {
    boundMs: boundMs(scenario, lanes[0]?.pieces ?? 1),
    tookMs: ascending(({ tookMs }) => tookMs),
    healthyP99Ms: quantile(
      ascending(({ healthyTookMs }) => healthyTookMs),
      0.99,
    ),
    lastMs: Math.max(...lanes.map(({ lastMs }) => lastMs)),
    isDone: violation === undefined && unfinished.length === 0,
    unfinished,
    violation,
    events: total(({ events }) => events),
    wallMs,
    bytesFromSeeders: total(({ bytesFromSeeders }) => bytesFromSeeders),
    bytesFromPeers: total(({ bytesFromPeers }) => bytesFromPeers),
    bytesDiscarded: total(({ bytesDiscarded }) => bytesDiscarded),
    bytesRefused: total(({ bytesRefused }) => bytesRefused),
    logDigest: digestOf(lanes),
  };
}

/** Of ascending values; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}

function digestOf(lanes: readonly LaneOutcome[]): string {
  const [first] = lanes;
  if (first !== undefined && lanes.length === 1) return first.logDigest;
  const digest = new StreamDigest();
  const encoder = new TextEncoder();
  for (const { logDigest } of lanes) digest.update(encoder.encode(logDigest));
  return toHex(digest.finish());
}
