// Why a call about a lease changed nothing: told before, cancelled, late, or the database is another
// one. Late calls are counted, with their attempt and by kind.
import { ShoalError } from "@shoal/core/error";
import { type LeaseProof, countRefusal, findAttempt } from "../db/build-queue.ts";
import type { Database } from "../db/connection.ts";
import { findBuildState } from "../db/builds.ts";
import { serverAdopted } from "../db/incarnation.ts";
import { databaseUnadopted } from "./adopt-database.ts";
import { notFound } from "./not-found.ts";

export interface RefusalDeps {
  readonly database: Database;
  /** Looks at the database, so that statements about leases count again. */
  readonly adopt: () => Promise<void>;
}

/**
 * Returns when the attempt has ended just as the caller says, because the first answer got lost.
 * Throws the reason otherwise.
 */
export async function requireToldBefore(
  deps: RefusalDeps,
  lease: LeaseProof,
  call: string,
  outcome: string | null,
): Promise<void> {
  const { database } = deps;
  const { build, fence } = lease;
  const state = await findBuildState(database, build);
  if (state === null) throw notFound("build", build);
  const attempt = await findAttempt(database, build, fence);
  const own = attempt !== null && attempt.holder === lease.holder;
  if (own && outcome !== null && attempt.outcome === outcome) return;
  if (!(await serverAdopted(database))) {
    await deps.adopt();
    throw databaseUnadopted();
  }
  if (own && attempt.outcome === null && state === "CANCELLING") {
    throw new ShoalError("build_ended", `Build ${build} is being cancelled.`, {
      blame: "remote",
      hint: "Stop it and call cancelled.",
    });
  }
  if (own && attempt.outcome === null && state === "BUILDING" && call === "cancelled") {
    throw new ShoalError("build_ended", `Nobody asked to cancel build ${build}.`, {
      blame: "remote",
    });
  }
  await countRefusal(database, build, fence, call);
  throw new ShoalError(
    "fence_stale",
    `The lease of build ${build} is lost: somebody else has it, or it has ended.`,
    { blame: "remote", hint: "Stop the build and take another one." },
  );
}
