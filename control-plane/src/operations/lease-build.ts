// Hands builds to builders and keeps the leases alive. Where the next build is looked for is
// remembered for a moment, because rows that have left the queue stay in its index as long as anybody
// has an old snapshot open; every now and then the whole queue is looked at.
import type { Lease, heartbeat, leaseInput } from "@shoal/api/builder";
import { ShoalError } from "@shoal/core/error";
import { builderLoadNotedMs, builderNotedMs, leaseMs, queueLookMs } from "@shoal/core/limits";
import type { z } from "zod";
import { type LeaseProof, extendLease } from "../db/build-queue.ts";
import { type BuilderFacts, noteBuilder, noteLoad } from "../db/builders.ts";
import {
  type Claim,
  type Claimant,
  type ClaimAnswer,
  type QueuePlace,
  claimCapped,
  claimNext,
  lockCap,
} from "../db/claims.ts";
import { type Database, inTransaction, isUniqueViolation } from "../db/connection.ts";
import { leaseOfBuilder } from "../db/overdue.ts";
import { findProject } from "../db/projects.ts";
import { type Wakeups, lookUntil } from "../db/wakeups.ts";
import { databaseUnadopted } from "./adopt-database.ts";
import type { BuildSources } from "./build-sources.ts";
import { giveUpOn } from "./end-attempt.ts";
import type { HomeSeeder } from "./home-seeder.ts";
import type { IngestGrants } from "./ingest-grants.ts";
import { notFound } from "./not-found.ts";
import { requireToldBefore } from "./refused-call.ts";

export interface LeaseDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly grants: IngestGrants;
  readonly home: HomeSeeder;
  readonly places: QueuePlaces;
  readonly sources: BuildSources;
  readonly adopt: () => Promise<void>;
}

/**
 * What one process remembers of the queue: where looks begin, by the labels of who looks, and which
 * builders are written down already.
 */
export class QueuePlaces {
  readonly #places = new Map<string, { readonly place: QueuePlace; readonly untilMs: number }>();

  at(labels: string): QueuePlace | null {
    const known = this.#places.get(labels);
    return known !== undefined && known.untilMs > performance.now() ? known.place : null;
  }

  /** After a look at the whole queue. */
  keep(labels: string, place: QueuePlace): void {
    if (this.#places.size >= 256) this.#places.clear();
    this.#places.set(labels, { place, untilMs: performance.now() + queueLookMs });
  }

  readonly #noted = new Map<string, { readonly text: string; readonly untilMs: number }>();

  /** Whether a builder is to be written down: it is new, has changed, or was last noted a while ago. */
  noted(builder: BuilderFacts): boolean {
    const text = JSON.stringify([builder.holder, builder.labels]);
    const known = this.#noted.get(builder.name);
    if (known?.text === text && known.untilMs > performance.now()) return false;
    if (this.#noted.size >= 10_000) this.#noted.clear();
    this.#noted.set(builder.name, { text, untilMs: performance.now() + builderNotedMs });
    return true;
  }

  /** The next look is at the whole queue. */
  forget(): void {
    this.#places.clear();
  }
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
  const facts = { name: builder, holder, labels, load: load ?? null };
  if (deps.places.noted(facts)) await noteBuilder(deps.database, facts);
  const look = async (): Promise<Lease | undefined> => {
    const claim = await claimBuild(deps, { builder, holder, labels });
    if (claim === null) return undefined;
    const project = await findProject(deps.database, claim.project);
    if (project === null) throw notFound("project", claim.project);
    deps.sources.remember(claim.build, claim);
    const { remoteUrl, buildCommand, artifactPath, prepare, test, limits } = project;
    const { at, ...facts } = claim;
    return {
      ...facts,
      until: new Date(at.getTime() + leaseMs).toISOString(),
      remoteUrl,
      buildCommand,
      artifactPath,
      prepare,
      test,
      limits,
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
  deps: Pick<LeaseDeps, "database" | "wakeups" | "places" | "adopt">,
  claimant: Claimant,
): Promise<Claim | null> {
  const labels = JSON.stringify(claimant.labels);
  for (let look = 0; look < looksMax; look += 1) {
    const from = deps.places.at(labels);
    const answer = await claimOnce(deps, claimant, from);
    if (answer === "busy") continue;
    if (answer.type === "unadopted") {
      await deps.adopt();
      throw databaseUnadopted();
    }
    if (answer.type === "claimed") {
      if (from === null) deps.places.keep(labels, answer.place);
      return answer.claim;
    }
    if (answer.type === "nothing") {
      if (from === null) return null;
      deps.places.forget();
    }
  }
  return null;
}

async function claimOnce(
  deps: Pick<LeaseDeps, "database" | "wakeups">,
  claimant: Claimant,
  from: QueuePlace | null,
): Promise<Exclude<ClaimAnswer, { type: "capped" | "holding" }> | "busy"> {
  const { database } = deps;
  try {
    const answer = await claimNext(database, claimant, from);
    if (answer.type === "holding") {
      await freeBuilder(deps, claimant);
      return { type: "nothing" };
    }
    if (answer.type !== "capped") return answer;
    const taken = await inTransaction(database, async (queries) => {
      await lockCap(queries, answer.project);
      return claimCapped(queries, claimant, answer.project);
    });
    // The cap was reached meanwhile: the next look passes over the project.
    return taken.type === "claimed" || taken.type === "unadopted" ? taken : "busy";
  } catch (error) {
    if (!isUniqueViolation(error, "leases_pkey")) throw error;
    await freeBuilder(deps, claimant);
    return "busy";
  }
}

/** A builder that asks for work has none: what it still holds is given to others at once. */
async function freeBuilder(
  deps: Pick<LeaseDeps, "database" | "wakeups">,
  { builder, holder }: Claimant,
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
  const kept = await extendLease(deps.database, lease);
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
