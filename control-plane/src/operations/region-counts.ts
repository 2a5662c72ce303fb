// From what seeders reported to what the rollout engine is told: one sum for each region in service.
import type { ServiceCounts } from "@shoal/api/seeder";
import { switchHostsMax } from "@shoal/core/limits";
import { hostShare } from "@shoal/core/rollout/host-share";
import { mergeLadders } from "@shoal/core/rollout/ladder";
import type { RegionCounts } from "@shoal/core/rollout/rollout-events";
import type { SeederCounts } from "../db/seeders.ts";
import type { GoalOrders } from "./write-goals.ts";

/**
 * Sums of each region, over its seeders that were heard of lately; hosts of one that wasn't have gone
 * to another one, or are unknown. A region's counts are current when all of these seeders made them
 * with its newest goal.
 */
export function regionCounts(
  orders: GoalOrders,
  seeders: readonly SeederCounts[],
  release: string,
  salt: string,
): RegionCounts[] {
  return [...orders].map(([region, order]) => {
    const own = seeders.filter((seeder) => seeder.region === region);
    const fresh = own.filter((seeder) => seeder.fresh);
    const current =
      fresh.length > 0 &&
      fresh.every(
        ({ counts }) => counts?.epoch === order.epoch && counts.generation === order.generation,
      );
    const heard = fresh.length > 0 ? fresh : own;
    const counts = heard.flatMap((seeder) => (seeder.counts === null ? [] : [seeder.counts]));
    return { region, current, ...sumUp(counts, release, salt) };
  });
}

function sumUp(
  counts: readonly ServiceCounts[],
  release: string,
  salt: string,
): Omit<RegionCounts, "region" | "current"> {
  const sum = (pick: (counts: ServiceCounts) => number): number =>
    counts.reduce((total, one) => total + pick(one), 0);
  const sumOf = (key: "holding" | "running" | "healthy" | "failed"): number =>
    sum((one) => one.releases.find((counted) => counted.release === release)?.[key] ?? 0);
  return {
    reporting: sum((one) => one.reporting),
    silent: sum((one) => one.silent),
    open: sum((one) => one.open),
    openSilent: sum((one) => one.openSilent),
    firstHosts: firstHosts(counts, salt),
    ladder: mergeLadders(counts.map((one) => one.ladder)),
    holding: sumOf("holding"),
    running: sumOf("running"),
    healthy: sumOf("healthy"),
    failed: sumOf("failed"),
  };
}

/** The first hosts of all seeders together, in the order of the salt. */
function firstHosts(counts: readonly ServiceCounts[], salt: string): string[] {
  const hosts = [...new Set(counts.flatMap((one) => one.firstHosts))];
  return hosts
    .map((host) => ({ host, share: hostShare(salt, host) }))
    .toSorted((a, b) => a.share - b.share)
    .slice(0, switchHostsMax)
    .map(({ host }) => host);
}
