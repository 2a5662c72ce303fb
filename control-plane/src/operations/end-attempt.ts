// Ends of attempts: published, failed, cancelled, given up on. The user's failure ends the build;
// ours gives it another attempt, as long as there are any.
import type { AttemptEnded, failInput, publishInput, cancelledInput } from "@shoal/api/builder";
import type { Failure } from "@shoal/api/control-plane";
import { decideRetry } from "@shoal/core/build/retry";
import type { BuildState } from "@shoal/core/build/state";
import { ShoalError } from "@shoal/core/error";
import { replicationMs } from "@shoal/core/limits";
import type { z } from "zod";
import type { Authority } from "../authority.ts";
import type { LeaseProof } from "../db/build-queue.ts";
import { findAttemptNumber, findBuildState } from "../db/builds.ts";
import { type Database, type Queries, inTransaction } from "../db/connection.ts";
import type { HeldBuild } from "../db/overdue.ts";
import type { Wakeups } from "../db/wakeups.ts";
import { noteInLog } from "./append-log.ts";
import type { BuildSources } from "./build-sources.ts";
import { notFound } from "./not-found.ts";
import type { QueueCalls } from "./queue-calls.ts";
import { requireToldBefore } from "./refused-call.ts";

export interface EndDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly authority: Authority;
  readonly sources: BuildSources;
  readonly calls: QueueCalls;
  readonly adopt: () => Promise<void>;
}

/** The artifact is in the home region: the other regions pull it from there now. */
export async function publishBuild(
  deps: EndDeps,
  lease: LeaseProof,
  input: z.output<typeof publishInput>,
): Promise<AttemptEnded> {
  const source = await deps.sources.find(lease.build);
  if (source === null) throw notFound("build", lease.build);
  const statement = deps.authority.verifyStatement(input.statement, {
    project: source.project,
    artifact: input.artifact,
  });
  if (statement.commit !== source.commit) {
    const message = `The statement is about ${statement.commit}.`;
    throw new ShoalError("statement_commit_wrong", message, { blame: "remote" });
  }
  const { artifact, artifactBytes, bytesUploaded } = input;
  const state = await deps.calls.end(lease, {
    event: "published",
    outcome: "published",
    deadlineInMs: replicationMs,
    artifact: { artifact, artifactBytes, bytesUploaded, statement: input.statement },
  });
  if (state !== null) deps.wakeups.announce("plan");
  return ended(deps, lease, state, { call: "publish", outcome: "published" });
}

export async function failBuild(
  deps: EndDeps,
  lease: LeaseProof,
  input: z.output<typeof failInput>,
): Promise<AttemptEnded> {
  const attempt = await findAttemptNumber(deps.database, lease.build);
  if (attempt === null) throw notFound("build", lease.build);
  const state = await failAttempt(deps, { ...lease, attempt }, input.failure, {
    cause: "failedByUs",
    outcome: "failed",
  });
  return ended(deps, lease, state, { call: "fail", outcome: "failed" });
}

export async function proveCancelled(
  deps: EndDeps,
  lease: LeaseProof,
  input: z.output<typeof cancelledInput>,
): Promise<AttemptEnded> {
  const state = await deps.calls.end(lease, {
    event: "cancelProved",
    outcome: "cancelled",
    ...(input.proof === undefined ? {} : { proof: input.proof }),
  });
  return ended(deps, lease, state, { call: "cancelled", outcome: "cancelled" });
}

export interface AttemptFailure {
  readonly cause: "failedByUs" | "leaseExpired";
  readonly outcome: string;
  /** Only when its builder was silent for this long. */
  readonly silentForMs?: number;
}

/** Ends a failed attempt and says so in the build's log; null when the lease doesn't count. */
export async function failAttempt(
  deps: Pick<EndDeps, "database" | "wakeups" | "calls">,
  held: LeaseProof & { readonly attempt: number },
  failure: Failure,
  how: AttemptFailure,
): Promise<BuildState | null> {
  const { outcome, silentForMs } = how;
  const end = { outcome, failure, ...(silentForMs === undefined ? {} : { silentForMs }) };
  if (failure.blame === "user") {
    const state = await deps.calls.end(held, { ...end, event: "failedByUser" });
    if (state !== null) await note(deps, held.build, `${failure.code}: ${failure.message}`);
    return state;
  }
  const { event, waitMs } = decideRetry(held.attempt, how.cause, failure.code);
  const state = await deps.calls.end(held, { ...end, event, retryInMs: waitMs });
  if (state === null) return null;
  const next = state === "QUEUED" ? `next attempt in ${waitMs / 1000} s` : `the build is ${state}`;
  await note(
    deps,
    held.build,
    `${failure.code}: ${failure.message} Attempt ${held.attempt} ended; ${next}`,
  );
  if (state === "QUEUED") deps.wakeups.announce("queue");
  return state;
}

/** Ends the attempt of a builder that doesn't say anything, whatever state its build is in. */
export async function giveUpOn(
  deps: Pick<EndDeps, "database" | "wakeups" | "calls">,
  held: HeldBuild,
  failure: Failure,
  silentForMs?: number,
): Promise<BuildState | null> {
  const lease = { ...held, holder: null };
  const silent = silentForMs === undefined ? {} : { silentForMs };
  const how = { cause: "leaseExpired", outcome: "expired", ...silent } as const;
  const state = await failAttempt(deps, lease, failure, how);
  if (state !== null) return state;
  // After the last attempt a build that is being cancelled is no longer DEAD, but CANCELLED.
  return deps.calls.end(lease, {
    event: "cancelDeadline",
    outcome: "expired",
    ...silent,
  });
}

async function note(
  deps: Pick<EndDeps, "database" | "wakeups">,
  build: number,
  text: string,
): Promise<void> {
  await inTransaction(deps.database, (queries: Queries) => noteInLog(queries, build, text));
  deps.wakeups.ring(`log:${build}`);
}

/** `state` null: it changed nothing, which is right when it was told before. */
async function ended(
  deps: EndDeps,
  lease: LeaseProof,
  state: BuildState | null,
  told: { readonly call: string; readonly outcome: string },
): Promise<AttemptEnded> {
  const { build } = lease;
  deps.wakeups.ring(`log:${build}`);
  if (state !== null) return { build, state };
  await requireToldBefore(deps, lease, told.call, told.outcome);
  const present = await findBuildState(deps.database, build);
  if (present === null) throw notFound("build", build);
  return { build, state: present };
}
