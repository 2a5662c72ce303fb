// What a region's seeders should have: goals, artifacts with where to pull them from, each other. The
// version is a hash of all of it but the grant, which is new every time.
import type { Plan } from "@shoal/api/seeder";
import { canonicalJson } from "@shoal/core/canonical-json";
import { digest, toHex } from "@shoal/core/digest";
import { pullGrantMs } from "@shoal/core/limits";
import { editionOf, type TrustKeeper } from "@shoal/trust/trust-keeper";
import type { Authority } from "../authority.ts";
import { planArtifacts } from "../db/artifacts.ts";
import type { Database } from "../db/connection.ts";
import { goalsOfRegion } from "../db/goals.ts";
import { seedersOf } from "../db/seeders.ts";
import { type Wakeups, lookUntil } from "../db/wakeups.ts";
import { readTrustState } from "./trust.ts";

export interface PlanDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly authority: Authority;
  readonly trust: TrustKeeper;
}

/** The plan, or null when it is still the known one after `waitMs`. */
export async function waitForPlan(
  deps: PlanDeps,
  region: string,
  query: { readonly known?: string | undefined; readonly waitMs: number },
  signal: AbortSignal,
): Promise<Plan | null> {
  const found = await lookUntil(deps.wakeups, "plan", query.waitMs, signal, async () => {
    const content = await readPlan(deps, region);
    return content.version === query.known ? undefined : content;
  });
  if (found === undefined) return null;
  const regions = [
    ...new Set(found.artifacts.flatMap(({ sources }) => sources.map((s) => s.region))),
  ];
  // A grant names at least one region; a seeder that has nowhere to pull from can't use it.
  const grant = await deps.authority.issueGrant({
    scope: "pull",
    regions: regions.length === 0 ? [region] : regions,
  });
  return { ...found, grant };
}

type PlanContent = Omit<Plan, "grant">;

async function readPlan(deps: PlanDeps, region: string): Promise<PlanContent> {
  const [trust, goals, artifacts, addresses] = await Promise.all([
    readTrustState(deps),
    goalsOfRegion(deps.database, region),
    planArtifacts(deps.database, region),
    seedersOf(deps.database, region),
  ]);
  const seeders = addresses
    .map(({ url, peerId, swarmAddresses }) => ({ url, peerId, swarmAddresses }))
    .toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1));
  const content = { region, trustEdition: editionOf(trust), goals, artifacts, seeders };
  // A seeder takes a new plan, and with it a new grant, well before the old grant ends.
  const grantTurn = Math.floor(deps.authority.nowMs() / (pullGrantMs / 2));
  const text = canonicalJson({ ...content, grantTurn });
  return { ...content, version: toHex(digest(Buffer.from(text))).slice(0, 32) };
}
