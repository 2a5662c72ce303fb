// One look at one service: tells the engine what the seeders counted, carries out what it orders, and
// brings the goals up to date, all in one transaction under the service's lock. Repeating it is harmless.
import type { Environment } from "@shoal/api/environments";
import type { RolloutPolicy } from "@shoal/core/rollout/rollout-policy";
import { Rollout } from "@shoal/core/rollout/rollout";
import { isEnded } from "@shoal/core/rollout/rollout-state";
import type { RegionCounts, RolloutState } from "@shoal/core/rollout/rollout-events";
import { seederSilentMs } from "@shoal/core/limits";
import type { Authority } from "../authority.ts";
import { type Database, type Queries, inTransaction } from "../db/connection.ts";
import { findEnvironment } from "../db/environments.ts";
import { type Seen, type StoredRollout, newestRollout, saveRollout } from "../db/rollouts.ts";
import { serviceCountsOf } from "../db/seeders.ts";
import {
  type LockedService,
  type ServiceName,
  lockService,
  newestGoodRelease,
  quarantineRelease,
  setReleases,
} from "../db/services.ts";
import { regionCounts } from "./region-counts.ts";
import { type GoalOrders, writeGoals } from "./write-goals.ts";

export interface DriveDeps {
  readonly database: Database;
  readonly authority: Authority;
  readonly policy: RolloutPolicy;
}

/** Looks at a service in a transaction of its own. */
export async function driveService(deps: DriveDeps, name: ServiceName): Promise<void> {
  await inTransaction(deps.database, async (queries) => {
    const service = await lockService(queries, name);
    if (service !== null) await driveLocked(queries, deps, name, service);
  });
}

/** Looks at a service that the transaction holds already. */
export async function driveLocked(
  queries: Queries,
  deps: Omit<DriveDeps, "database">,
  name: ServiceName,
  service: LockedService,
): Promise<void> {
  const stored = await newestRollout(queries, name);
  if (stored === null) return;
  // Goals first: counts are judged only when they were made with the goals of this moment.
  const orders = await writeGoals(queries, deps.authority, name, { ...service, rollout: stored });
  if (isEnded(stored.state)) return;
  const counts = await countRegions(queries, name, orders, stored);
  const rollout = new Rollout(stored.state, await policyOf(queries, deps.policy, name));
  rollout.handle({ type: "reported", regions: counts }, service.nowMs);
  const releases = await carryOut(queries, name, service, stored, rollout);
  await saveRollout(queries, stored.id, rollout.state, sumUp(stored, counts));
  const after = { ...stored, state: rollout.state };
  await writeGoals(queries, deps.authority, name, { ...service, ...releases, rollout: after });
}

/** The control plane's rollout policy with what the service's environment says otherwise. */
export async function policyOf(
  queries: Queries,
  policy: RolloutPolicy,
  name: ServiceName,
): Promise<RolloutPolicy> {
  const environment = await findEnvironment(queries, name.environment);
  return { ...policy, ...definedOf(environment?.policy ?? {}) };
}

/** Without the fields that are undefined: those would hide what they are spread over. */
function definedOf(policy: Environment["policy"]): Partial<RolloutPolicy> {
  return Object.fromEntries(
    Object.entries(policy).filter(([, value]) => value !== undefined),
  ) as Partial<RolloutPolicy>;
}

/** What a service runs and falls back to. */
type Releases = Pick<LockedService, "current" | "fallback">;

async function carryOut(
  queries: Queries,
  name: ServiceName,
  service: LockedService,
  stored: StoredRollout,
  rollout: Rollout,
): Promise<Releases> {
  let releases: Releases = { current: service.current, fallback: service.fallback };
  for (let output = rollout.poll(); output !== undefined; output = rollout.poll()) {
    if (output.type === "quarantined") {
      await quarantineRelease(queries, name, stored.release.id, output.reason);
    }
    if (output.type !== "ended" || output.phase !== "SUCCEEDED" || !stored.state.staged) continue;
    // What a rollback left is nothing to fall back to.
    const fallback =
      stored.state.kind === "deploy"
        ? service.current
        : await newestGoodRelease(queries, name, [stored.release.id]);
    releases = { current: stored.release, fallback };
  }
  if (releases.current !== service.current) {
    await setReleases(queries, name, releases.current?.id ?? null, releases.fallback?.id ?? null);
  }
  return releases;
}

/** Makes a service run a release everywhere at once, with the newest other good one to fall back to. */
export async function goBackTo(
  queries: Queries,
  name: ServiceName,
  release: NonNullable<LockedService["current"]>,
): Promise<Releases> {
  const fallback = await newestGoodRelease(queries, name, [release.id]);
  await setReleases(queries, name, release.id, fallback?.id ?? null);
  return { current: release, fallback };
}

async function countRegions(
  queries: Queries,
  name: ServiceName,
  orders: GoalOrders,
  stored: { readonly release: { readonly id: string }; readonly state: RolloutState },
): Promise<RegionCounts[]> {
  const { environment, service } = name;
  const seeders = await serviceCountsOf(queries, environment, service, seederSilentMs);
  return regionCounts(orders, seeders, stored.release.id, stored.state.salt);
}

/** What a person is shown of the counts. */
function sumUp(stored: StoredRollout, regions: readonly RegionCounts[]): Seen {
  const sum = (pick: (counts: RegionCounts) => number): number =>
    regions.reduce((total, counts) => total + pick(counts), 0);
  return {
    hosts: sum((counts) => counts.reporting + counts.silent),
    hostsOpen: sum((counts) => counts.open + counts.openSilent),
    counts: {
      release: stored.release.id,
      holding: sum((counts) => counts.holding),
      running: sum((counts) => counts.running),
      healthy: sum((counts) => counts.healthy),
      failed: sum((counts) => counts.failed),
    },
  };
}
