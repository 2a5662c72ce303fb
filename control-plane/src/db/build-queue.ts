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

/** What is known of a lease that was held longer. */
export interface KeptLease {
  readonly at: Date;
  readonly state: BuildState;
  readonly attempt: number;
  readonly project: string;
}

/** Holds leases longer; null for each that doesn't count. Changes narrow rows, and no index. */
export async function extendLeases(
  queries: Queries,
  leases: readonly LeaseProof[],
): Promise<(KeptLease | null)[]> {
  const builds = leases.map(({ build }) => build);
  const fences = leases.map(({ fence }) => fence);
  const holders = leases.map(({ holder }) => holder);
  const rows = await queries<(KeptLease & { readonly turn: number })[]>`
    select turn, at, state, attempt, project
    from beat_leases(${builds}, ${fences}::text[]::bigint[], ${holders})`;
  const byTurn = new Map(rows.map(({ turn, ...kept }) => [turn, kept]));
  return leases.map((_, index) => byTurn.get(index + 1) ?? null);
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

export interface LeaseEnd {
  readonly lease: LeaseProof;
  readonly end: AttemptEnd;
}

/**
 * Ends attempts of different builds: of each, build, lease and attempt change together or not at all.
 * Answers the builds' new states; null where the lease doesn't count or the event isn't allowed in the
 * build's state.
 */
export async function endAttempts(
  queries: Queries,
  ends: readonly LeaseEnd[],
): Promise<(BuildState | null)[]> {
  const given = ends.map(({ lease, end: { event, artifact, ...facts } }, turn) => {
    const from = statesBefore(event);
    const targets = Object.fromEntries(from.map((state) => [state, stateAfter(event, state)]));
    return { turn, ...lease, targets, ...facts, ...artifact };
  });
  const rows = await queries<{ turn: number; state: BuildState }[]>`
    select turn, state from end_attempts(${queries.json(given as never)})`;
  const states = new Map(rows.map(({ turn, state }) => [turn, state]));
  return ends.map((_, turn) => states.get(turn) ?? null);
}

/** Ends one attempt, as `endAttempts` does. */
export async function endAttempt(
  queries: Queries,
  lease: LeaseProof,
  end: AttemptEnd,
): Promise<BuildState | null> {
  const [state] = await endAttempts(queries, [{ lease, end }]);
  return state ?? null;
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
