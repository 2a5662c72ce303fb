// What the counts of one moment say about a rollout: pure sums and one judgment each, no memory.
import { type SwitchRule } from "./goal.ts";
import type { RegionCounts } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import { hostsOf, openEstimate } from "./waves.ts";

export interface FleetCounts {
  readonly hosts: number;
  readonly reporting: number;
  readonly silent: number;
  readonly open: number;
  readonly openSilent: number;
  readonly holding: number;
  readonly healthy: number;
  readonly failed: number;
  /** Regions whose counts aren't current, in the order given. */
  readonly regionsWithoutData: readonly string[];
}

/** Sums over all regions. Where counts aren't current, the open hosts are estimated from the rule. */
export function sumCounts(
  regions: readonly RegionCounts[],
  rules: Readonly<Record<string, SwitchRule>>,
): FleetCounts {
  const sums = {
    hosts: 0,
    reporting: 0,
    silent: 0,
    open: 0,
    openSilent: 0,
    holding: 0,
    healthy: 0,
    failed: 0,
  };
  for (const counts of regions) {
    sums.hosts += hostsOf(counts);
    sums.reporting += counts.reporting;
    sums.silent += counts.silent;
    sums.open += counts.current ? counts.open : openEstimate(rules[counts.region], counts);
    if (!counts.current) continue;
    sums.openSilent += counts.openSilent;
    sums.holding += counts.holding;
    sums.healthy += counts.healthy;
    sums.failed += counts.failed;
  }
  return {
    ...sums,
    regionsWithoutData: regions.filter((counts) => !counts.current).map((counts) => counts.region),
  };
}

/** More hosts failed than the policy forgives: at least one, and more than its share of `among`. */
export function failsTooOften(failed: number, among: number, policy: RolloutPolicy): boolean {
  return failed >= 1 && failed > policy.failedShareMax * among;
}

/** Whether so many hosts of every region hold the release that waiting for the rest isn't worth it. */
export function isPrepared(regions: readonly RegionCounts[], policy: RolloutPolicy): boolean {
  return regions.every(
    (counts) =>
      counts.holding + counts.failed >= Math.ceil(policy.holdingShareMin * counts.reporting - 1e-9),
  );
}

/**
 * Open hosts that went silent since the first wave opened, beyond the ordinary dying of machines.
 * They are unknown, neither well nor failed: perhaps the release took them down.
 */
export function suspiciousSilent(
  sums: FleetCounts,
  silentBefore: number,
  policy: RolloutPolicy,
): number {
  const sinceOpened = Math.max(0, Math.min(sums.openSilent, sums.silent - silentBefore));
  return sinceOpened > policy.silentShareMax * (sums.open + sums.openSilent) ? sinceOpened : 0;
}

/** Open hosts that are neither well nor failed yet, and how many of them surely hold the release. */
export function lateHosts(sums: FleetCounts): { readonly late: number; readonly holding: number } {
  const late = Math.max(0, sums.open - sums.healthy - sums.failed);
  const fetching = Math.max(0, sums.reporting - sums.holding - sums.failed);
  return { late, holding: Math.max(0, late - fetching) };
}
