// What a message takes from one host to another.
import type { Millis } from "@shoal/core/units";
import type { Scenario } from "./scenario.ts";

/**
 * Pairs of hosts are so much farther from each other than the nearest, at most. Where all were equally far, what
 * a host tells its peers would be answered by all at one time, and the order of their numbers would decide.
 */
const spread = 0.05;

/** Half a round trip between two hosts. */
export function latencyMs(scenario: Scenario, from: number, to: number): Millis {
  const { zones, zoneRttMs, regionRttMs } = scenario;
  const rttMs = from % zones === to % zones ? zoneRttMs : regionRttMs;
  return (rttMs / 2) * (1 + spread * fractionOf(from, to));
}

/** No two hosts are nearer. */
export function latencyMsMin({ zones, zoneRttMs, regionRttMs }: Scenario): Millis {
  return (zones === 1 ? zoneRttMs : Math.min(zoneRttMs, regionRttMs)) / 2;
}

/** From 0 up to 1, the same for a pair in either order. */
function fractionOf(one: number, other: number): number {
  return (
    ((Math.imul(one ^ other, 0x9e3779b1) ^ Math.imul(one + other, 0x85ebca6b)) >>> 0) / 2 ** 32
  );
}
