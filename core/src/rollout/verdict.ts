// What the counts of one moment say about a rollout: pure sums and one judgment each, no memory.
import type { RegionCounts, RolloutState } from "./rollout-events.ts";
import type { RolloutPolicy } from "./rollout-policy.ts";
import { hostsOf, openEstimate, unseenOf } from "./waves.ts";

export interface FleetCounts {
  readonly hosts: number;
  readonly reporting: number;
  readonly silent: number;
  readonly open: number;
  readonly openSilent: number;
  /** Opened earlier, and neither reporting nor known to be silent. */
  readonly unseen: number;
  /** Fewer hosts than were known before: those may be anywhere, open or not. */
  readonly missing: number;
  /** Reporting hosts that aren't open. */
  readonly closed: number;
  readonly holding: number;
  readonly healthy: number;
  readonly failed: number;
  /** Regions whose counts aren't current, in the order given. */
  readonly regionsWithoutData: readonly string[];
}

/** Sums over all regions. Where counts aren't current, the open hosts are estimated from the rule. */
export function sumCounts(
  regions: readonly RegionCounts[],
  { rules, opened, known }: Pick<RolloutState, "rules" | "opened" | "known">,
): FleetCounts {
  const sums = {
    hosts: 0,
    reporting: 0,
    silent: 0,
    open: 0,
    openSilent: 0,
    unseen: 0,
    missing: 0,
    closed: 0,
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
    sums.unseen += unseenOf(counts, opened);
    sums.missing += Math.max(0, (known[counts.region] ?? 0) - hostsOf(counts));
    sums.closed += Math.max(0, counts.reporting - counts.open);
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

/**
 * Open hosts that aren't known to be healthy with the release. Failed ones are among them, whatever
 * they run; silent ones are, unless they were silent before the first wave opened.
 */
export function unavailableHosts(sums: FleetCounts, silentBefore: number): number {
  const wentSilent = Math.max(0, Math.min(sums.openSilent, sums.silent - silentBefore));
  return Math.max(0, sums.open - sums.healthy) + sums.unseen + wentSilent;
}

/** How many of so many hosts may be open and not healthy at once; at least one. */
export function unavailableHostsMax(
  { maxUnavailable }: Pick<RolloutPolicy, "maxUnavailable">,
  hosts: number,
): number {
  const wanted =
    maxUnavailable.type === "hosts"
      ? maxUnavailable.hosts
      : Math.floor(maxUnavailable.share * hosts + 1e-9);
  return Math.max(1, wanted);
}

/** Open hosts that are neither well nor failed yet, and how many of them surely hold the release. */
export function lateHosts(sums: FleetCounts): { readonly late: number; readonly holding: number } {
  const late = Math.max(0, sums.open - sums.healthy - sums.failed);
  const fetching = Math.max(0, sums.reporting - sums.holding - sums.failed);
  return { late, holding: Math.max(0, late - fetching) };
}
