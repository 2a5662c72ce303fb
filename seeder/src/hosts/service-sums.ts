// Sums over a region's hosts, by service and release: what the rollout engine decides by. Pure.
import type { ServiceCounts, ServiceStatus } from "@shoal/api/seeder";
import {
  hostSilentMs,
  releasesCountedMax,
  switchHostsMax,
  troubledHostsMax,
} from "@shoal/core/limits";
import type { Goal } from "@shoal/core/rollout/goal";
import { hostShare } from "@shoal/core/rollout/host-share";
import { makeLadder } from "@shoal/core/rollout/ladder";
import { mayRun } from "@shoal/core/rollout/switch-rule";
import { selects } from "@shoal/core/rollout/selector";
import { releasesOf } from "../goals.ts";
import type { KnownHost } from "./host-table.ts";

/** The counts of each goal's service, over the hosts that it selects. */
export function sumServices(
  goals: readonly Goal[],
  hosts: readonly KnownHost[],
  nowMs: number,
): ServiceCounts[] {
  return goals.map((goal) =>
    sumService(
      goal,
      hosts.filter((host) => isSelected(goal, host)),
      nowMs,
    ),
  );
}

export function isSelected(goal: Goal, host: Pick<KnownHost, "environment" | "labels">): boolean {
  return isOfEnvironment(goal, host) && selects(goal.selector, host.labels);
}

export function isOfEnvironment(goal: Goal, host: Pick<KnownHost, "environment">): boolean {
  return host.environment === null || host.environment === goal.environment;
}

function sumService(goal: Goal, hosts: readonly KnownHost[], nowMs: number): ServiceCounts {
  const reporting = hosts.filter((host) => nowMs - host.seenAtMs <= hostSilentMs);
  const silent = hosts.filter((host) => nowMs - host.seenAtMs > hostSilentMs);
  const releases = new Map<
    string,
    { release: string; holding: number; running: number; healthy: number; failed: number }
  >();
  const of = (
    release: string,
  ): { holding: number; running: number; healthy: number; failed: number } => {
    const known = releases.get(release) ?? {
      release,
      holding: 0,
      running: 0,
      healthy: 0,
      failed: 0,
    };
    if (releases.size < releasesCountedMax || releases.has(release)) releases.set(release, known);
    return known;
  };
  // The goal's own releases come first, so that they are counted whatever else hosts have.
  for (const { id } of releasesOf(goal)) of(id);
  const troubled: ServiceCounts["troubled"] = [];
  for (const host of reporting) {
    const status = statusOf(goal, host);
    if (status === undefined) continue;
    for (const release of status.holding) of(release).holding += 1;
    if (status.running !== null) {
      of(status.running).running += 1;
      const { failed } = status;
      const failedNow = failed?.rollout === goal.rollout && failed.release === status.running;
      if (status.healthy && !failedNow) of(status.running).healthy += 1;
    }
    // What failed in another rollout is tried again in this one, and proves nothing about it.
    if (status.failed === null || status.failed.rollout !== goal.rollout) continue;
    of(status.failed.release).failed += 1;
    const { release, code, message } = status.failed;
    if (troubled.length < troubledHostsMax)
      troubled.push({ host: host.host, release, code, message });
  }
  const ordered = inOrder(goal.salt, reporting);
  const isOpen = (host: KnownHost): boolean => mayRun(goal.switch, goal.salt, host.host);
  return {
    environment: goal.environment,
    service: goal.service,
    epoch: goal.epoch,
    generation: goal.generation,
    reporting: reporting.length,
    silent: silent.length,
    open: reporting.filter(isOpen).length,
    openSilent: silent.filter(isOpen).length,
    firstHosts: ordered.slice(0, switchHostsMax).map(({ host }) => host.host),
    ladder: makeLadder(ordered.filter(({ host }) => !isOpen(host)).map(({ share }) => share)),
    releases: [...releases.values()],
    troubled,
  };
}

function statusOf(goal: Goal, host: KnownHost): ServiceStatus | undefined {
  return host.report.services.find(
    (status) => status.service === goal.service && status.environment === goal.environment,
  );
}

function inOrder(
  salt: string,
  hosts: readonly KnownHost[],
): { readonly host: KnownHost; readonly share: number }[] {
  return hosts
    .map((host) => ({ host, share: hostShare(salt, host.host) }))
    .toSorted((a, b) => a.share - b.share);
}
