// What happens to builds that are held: heartbeats, ends, changes under a lock. Every statement counts
// only with the fence of a lease that is alive, in the present epoch, on the server that was looked at.
import type { Envelope } from "@shoal/api/names";
import type { Failure } from "@shoal/api/control-plane";
import {
  type BuildEvent,
  type BuildState,
  stateAfter,
  statesBefore,
} from "@shoal/core/build/state";
import type { Queries } from "./connection.ts";

/** Who calls about a lease: the fence, and the name of the token it was given to. */
export interface LeaseProof {
  readonly build: number;
  readonly fence: string;
  /** Null: the control plane itself, which ends leases of anybody. */
  readonly holder: string | null;
}

/** The condition under which a lease `l` of a fleet `f` counts. */
export const leaseCounts = (queries: Queries, lease: LeaseProof) => queries`
  l.build = ${lease.build} and l.fence = ${lease.fence}::bigint
  and (${lease.holder}::text is null or (l.holder = ${lease.holder} and l.fence >> 40 = f.epoch))
  and f.server = shoal_server()`;

/** Holds the lease longer; null when it doesn't count. Changes one narrow row, and no index. */
export async function extendLease(
  queries: Queries,
  lease: LeaseProof,
): Promise<{
  readonly at: Date;
  readonly state: BuildState;
  readonly attempt: number;
  readonly project: string;
} | null> {
  const [row] = await queries<{ at: Date; state: BuildState; attempt: number; project: string }[]>`
    update leases l set beat_at = now() from fleet f, builds b
    where ${leaseCounts(queries, lease)} and b.id = l.build
    returning l.beat_at as at, b.state, b.attempt, b.project`;
  return row ?? null;
}

/** Whether the lease counts at the moment. */
export async function leaseAlive(queries: Queries, lease: LeaseProof): Promise<boolean> {
  const alive = await queries`select from leases l, fleet f where ${leaseCounts(queries, lease)}`;
  return alive.count > 0;
}

/** What an attempt's end makes of its build; absent fields become null. */
export interface AttemptEnd {
  readonly event: BuildEvent;
  /** How the attempt's row says it ended. */
  readonly outcome: string;
  readonly failure?: Failure;
  readonly proof?: Readonly<Record<string, unknown>>;
  readonly retryInMs?: number;
  readonly deadlineInMs?: number;
  readonly artifact?: {
    readonly artifact: string;
    readonly artifactBytes: number;
    readonly bytesUploaded: number;
    readonly statement: Envelope;
  };
  /** Ends it only when the builder was silent for this long. */
  readonly silentForMs?: number;
}

/**
 * Ends an attempt: build, lease and attempt change in one statement, or none of them. Answers the
 * build's new state, or null when the lease doesn't count or the event isn't allowed in the build's
 * state.
 */
export async function endAttempt(
  queries: Queries,
  lease: LeaseProof,
  end: AttemptEnd,
): Promise<BuildState | null> {
  const failure = end.failure === undefined ? null : queries.json(end.failure);
  const proof = end.proof === undefined ? null : queries.json(end.proof as never);
  const from = statesBefore(end.event);
  const targets = Object.fromEntries(from.map((state) => [state, stateAfter(end.event, state)]));
  const deadline = end.deadlineInMs ?? null;
  const made = end.artifact;
  const statement = made === undefined ? null : queries.json(made.statement);
  const silent = end.silentForMs ?? null;
  const [row] = await queries<{ state: BuildState }[]>`
    with held as (
      select b.id, b.attempt, b.project, b.commit_id, ${queries.json(targets)}::jsonb ->> b.state as target
      from builds b, leases l, fleet f
      where b.id = ${lease.build} and ${leaseCounts(queries, lease)} and b.state = any(${from})
        and (${silent}::float8 is null
          or l.beat_at < now() - ${silent}::float8 * interval '1 millisecond')
      for update of b, l
    ), ended as (
      update attempts a set ended_at = now(), outcome = ${end.outcome}, failure = ${failure},
        proof = ${proof}
      from held where a.build = held.id and a.attempt = held.attempt
    ), gone as (
      delete from leases l using held where l.build = held.id
    ), kept as (
      insert into artifacts (cid, project, commit_id, bytes, statement)
      select ${made?.artifact ?? null}, project, commit_id, ${made?.artifactBytes ?? null}::bigint,
        ${statement}::jsonb
      from held where ${made !== undefined}
      on conflict (cid) do update set retired_at = null
    )
    update builds b set state = held.target, failure = ${failure},
      not_before = now() + ${end.retryInMs ?? 0} * interval '1 millisecond',
      deadline_at = now() + ${deadline}::float8 * interval '1 millisecond',
      ended_at = case when held.target in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD') then now() end,
      artifact = coalesce(${made?.artifact ?? null}, artifact),
      artifact_bytes = coalesce(${made?.artifactBytes ?? null}::bigint, artifact_bytes),
      bytes_uploaded = coalesce(${made?.bytesUploaded ?? null}::bigint, bytes_uploaded),
      published_at = case when ${made !== undefined} then now() else published_at end
    from held where b.id = held.id
    returning b.state`;
  return row?.state ?? null;
}

export interface AttemptFacts {
  readonly attempt: number;
  readonly outcome: string | null;
  readonly holder: string | null;
  readonly builder: string;
}

/** The attempt with this fence; null when there was none. */
export async function findAttempt(
  queries: Queries,
  build: number,
  fence: string,
): Promise<AttemptFacts | null> {
  const [row] = await queries<AttemptFacts[]>`
    select attempt, outcome, holder, builder from attempts
    where build = ${build} and fence = ${fence}::bigint`;
  return row ?? null;
}

/** Counts a call that came too late, with its attempt and by its kind. */
export async function countRefusal(
  queries: Queries,
  build: number,
  fence: string,
  call: string,
): Promise<void> {
  await queries`
    with attempt as (
      update attempts set refused = refused + 1, refused_at = now()
      where build = ${build} and fence = ${fence}::bigint
    )
    insert into refusals (call, refused) values (${call}, 1)
    on conflict (call) do update set refused = refusals.refused + 1, last_at = now()`;
}

export interface LockedBuild {
  readonly state: BuildState;
  readonly attempt: number;
  readonly project: string;
  readonly commit: string;
  readonly artifact: string | null;
  readonly overdue: boolean;
}

/** A build, held until the transaction ends. */
export async function lockBuild(queries: Queries, build: number): Promise<LockedBuild | null> {
  const [row] = await queries<LockedBuild[]>`
    select state, attempt, project, commit_id as commit, artifact,
      coalesce(deadline_at < now(), false) as overdue
    from builds b where id = ${build} for update`;
  return row ?? null;
}

export interface BuildChange {
  readonly state: BuildState;
  readonly failure?: Failure | null;
  readonly deadlineInMs?: number;
}

/** Moves a locked build on that nobody holds, or that goes on being held. */
export async function moveBuild(
  queries: Queries,
  build: number,
  change: BuildChange,
): Promise<void> {
  const final = ["SUCCEEDED", "FAILED", "CANCELLED", "DEAD"].includes(change.state);
  const deadline = change.deadlineInMs ?? null;
  await queries`
    update builds set state = ${change.state},
      failure = ${change.failure == null ? null : queries.json(change.failure)},
      deadline_at = now() + ${deadline}::float8 * interval '1 millisecond',
      ended_at = case when ${final} then now() end
    where id = ${build}`;
}
