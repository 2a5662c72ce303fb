// A world may be simulated by several threads, its lanes: hosts are dealt out to them in turn, each lane has a queue
// of events of its own, and what concerns another lane's hosts goes through a box.
//
// No message takes less than some time, so for as long no lane can learn anything of another: the lanes run that
// long, meet, exchange their boxes, and run on. What is called the window of conservative parallel simulation; see
// R. M. Fujimoto, Parallel discrete event simulation, CACM 33(10), 1990. A run depends on its scenario alone, the
// number of lanes being part of it.
import type { Bytes, Millis } from "@shoal/core/units";
import type { LaneBox } from "./lane-box.ts";
import { latencyMsMin } from "./latency.ts";
import { segmentBytesOf } from "./network.ts";
import { bytesPerMs, type Scenario } from "./scenario.ts";

export interface Lane {
  readonly index: number;
  readonly count: number;
  /** To and from each lane by its index; none for the lane itself. */
  readonly outboxes: readonly (LaneBox | undefined)[];
  readonly inboxes: readonly (LaneBox | undefined)[];
}

export const onlyLane: Lane = { index: 0, count: 1, outboxes: [undefined], inboxes: [undefined] };

export function laneOf(host: number, { count }: Lane): number {
  return host % count;
}

/** How long lanes need not hear of each other: the shortest way of a message, and the shortest segment. */
export function windowMsOf(scenario: Scenario): Millis {
  const { chunkBytes, mbit, seederMbit } = scenario;
  const segmentBytes = segmentBytesOf(chunkBytes);
  const lastBytes: Bytes = chunkBytes % segmentBytes;
  const leastBytes = lastBytes === 0 ? Math.min(segmentBytes, chunkBytes) : lastBytes;
  return Math.min(latencyMsMin(scenario), leastBytes / bytesPerMs(Math.max(mbit, seederMbit)));
}
