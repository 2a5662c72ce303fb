// Hands builds to builders and keeps the leases alive.
import type { Lease, heartbeat, leaseInput } from "@shoal/api/builder";
import { ShoalError } from "@shoal/core/error";
import { builderLoadNotedMs, leaseMs } from "@shoal/core/limits";
import type { z } from "zod";
import type { LeaseProof } from "../db/build-queue.ts";
import { noteDraining, noteLoad } from "../db/builders.ts";
import type { Claim, ClaimAnswer, Claimant } from "../db/claims.ts";
import type { Database } from "../db/connection.ts";
import { leaseOfBuilder } from "../db/overdue.ts";
import { type Wakeups, lookUntil } from "../db/wakeups.ts";
import { databaseUnadopted } from "./adopt-database.ts";
import type { BuildSources } from "./build-sources.ts";
import { giveUpOn } from "./end-attempt.ts";
import type { HomeSeeder } from "./home-seeder.ts";
import type { IngestGrants } from "./ingest-grants.ts";
import type { QueueCalls } from "./queue-calls.ts";
import { requireToldBefore } from "./refused-call.ts";

export interface LeaseDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly grants: IngestGrants;
  readonly home: HomeSeeder;
  readonly calls: QueueCalls;
  readonly sources: BuildSources;
  readonly adopt: () => Promise<void>;
}

/** The next build, or null when none came in `waitMs`. Throws `home_seeder_missing`. */
export async function leaseBuild(
  deps: LeaseDeps,
  holder: string,
  input: z.output<typeof leaseInput>,
  signal: AbortSignal,
): Promise<Lease | null> {
  // A build that nobody could take in isn't taken from the queue.
  const { region, ...seeder } = await deps.home.find();
  const { builder, labels, load } = input;
  const look = async (): Promise<Lease | undefined> => {
    const claim = await claimBuild(deps, { builder, holder, labels, load: load ?? null });
    if (claim === null) return undefined;
    if (signal.aborted) {
      // Nobody is there to hear of it any more.
      await freeBuilder(deps, { builder, holder });
      return undefined;
    }
    deps.sources.remember(claim.build, claim);
    const { at, source, ...facts } = claim;
    return {
      ...facts,
      until: new Date(at.getTime() + leaseMs).toISOString(),
      ...source,
      seeder: { region, ...seeder },
      grant: await deps.grants.grant(region, claim),
    };
  };
  return (await lookUntil(deps.wakeups, "queue", input.waitMs, signal, look)) ?? null;
}

/** Looks at most this often for one claim: caps that fill up meanwhile, places that were wrong. */
const looksMax = 8;

/** Takes the next build that this builder may have; null when there is none. */
export async function claimBuild(
  deps: Pick<LeaseDeps, "database" | "wakeups" | "calls" | "adopt">,
  claimant: Claimant,
): Promise<Claim | null> {
  for (let look = 0; look < looksMax; look += 1) {
    const answer = await claimOnce(deps, claimant);
    if (answer === "busy") continue;
    if (answer.type === "unadopted") {
      await deps.adopt();
      throw databaseUnadopted();
    }
    return answer.type === "claimed" ? answer.claim : null;
  }
  return null;
}

async function claimOnce(
  deps: Pick<LeaseDeps, "database" | "wakeups" | "calls">,
  claimant: Claimant,
): Promise<Extract<ClaimAnswer, { type: "claimed" | "nothing" | "unadopted" }> | "busy"> {
  const answer = await deps.calls.claim(claimant);
  if (answer === "busy") return answer;
  switch (answer.type) {
    case "holding":
      await freeBuilder(deps, claimant);
      return "busy";
    case "capped": {
      const taken = await deps.calls.claimCapped(claimant, answer.project);
      // The cap was reached meanwhile: the next look passes over the project.
      return taken.type === "claimed" || taken.type === "unadopted" ? taken : "busy";
    }
    case "again":
      return "busy";
    default:
      return answer;
  }
}

/** Takes note that a builder takes no more builds; what it holds without knowing is free at once. */
export async function drainBuilder(
  deps: Pick<LeaseDeps, "database" | "wakeups" | "calls">,
  claimant: Pick<Claimant, "builder" | "holder">,
  isIdle: boolean,
): Promise<void> {
  await noteDraining(deps.database, claimant.builder, claimant.holder);
  if (isIdle) await freeBuilder(deps, claimant);
}

/** A builder that asks for work has none: what it still holds is given to others at once. */
async function freeBuilder(
  deps: Pick<LeaseDeps, "database" | "wakeups" | "calls">,
  { builder, holder }: Pick<Claimant, "builder" | "holder">,
): Promise<void> {
  const held = await leaseOfBuilder(deps.database, builder);
  if (held === null) return;
  if (held.holder !== holder) {
    const message = `Another builder is called ${builder} and holds build ${held.build}.`;
    throw new ShoalError("builder_name_taken", message, {
      blame: "remote",
      hint: "Give every builder a name and a token of its own.",
    });
  }
  const message = "its builder asked for other work: it was restarted, or lost an answer";
  await giveUpOn(deps, held, { code: "builder_restarted", message, blame: "system" });
}

/** Keeps a lease, and tells its builder when somebody wants the build to stop. */
export async function beat(
  deps: LeaseDeps,
  lease: LeaseProof,
  load: Readonly<Record<string, number>> | null,
): Promise<z.infer<typeof heartbeat>> {
  const kept = await deps.calls.beat(lease);
  if (kept === null) {
    await requireToldBefore(deps, lease, "heartbeat", null);
    throw databaseUnadopted();
  }
  if (load !== null) await noteLoad(deps.database, lease, load, builderLoadNotedMs);
  const { attempt, project } = kept;
  const region = await deps.home.region();
  return {
    until: new Date(kept.at.getTime() + leaseMs).toISOString(),
    cancel: kept.state === "CANCELLING",
    grant: await deps.grants.grant(region, { ...lease, attempt, project }),
  };
}
