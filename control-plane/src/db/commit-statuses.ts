// The outbox of commit statuses, and where they go.
import type { BuildState } from "@shoal/core/build/state";
import type { Queries } from "./connection.ts";

/** Null as URL: nobody is told any more, and what waits is forgotten. False: no such project. */
export async function setStatusTarget(
  queries: Queries,
  project: string,
  target: { readonly url: string | null; readonly token: string | null },
): Promise<boolean> {
  const { url, token } = target;
  if (url === null) {
    const [row] = await queries<{ known: boolean }[]>`
      with gone as (
        delete from commit_status_targets where project = ${project}
      ), waiting as (
        delete from commit_statuses s using builds b where b.id = s.build and b.project = ${project}
      )
      select exists (select from projects where name = ${project}) as known`;
    return row?.known ?? false;
  }
  const set = await queries`
    insert into commit_status_targets (project, url, token)
    select name, ${url}, ${token} from projects where name = ${project}
    on conflict (project) do update set url = excluded.url, token = excluded.token`;
  return set.count > 0;
}

export interface StatusTarget {
  readonly url: string | null;
  readonly waiting: number;
  readonly gaveUp: number;
  readonly problem: string | null;
}

/** Null when there is no such project. */
export async function readStatusTarget(
  queries: Queries,
  project: string,
): Promise<StatusTarget | null> {
  const [row] = await queries<StatusTarget[]>`
    with own as (
      select s.* from commit_statuses s join builds b on b.id = s.build where b.project = ${project}
    )
    select (select url from commit_status_targets where project = p.name) as url,
      (select count(*)::int from own where gave_up_at is null) as waiting,
      (select count(*)::int from own where gave_up_at is not null) as "gaveUp",
      (select problem from own where problem is not null order by build desc limit 1) as problem
    from projects p where p.name = ${project}`;
  return row ?? null;
}

export interface DueStatus {
  readonly build: number;
  readonly version: number;
  readonly tries: number;
  readonly state: BuildState;
  readonly reason: string | null;
  readonly commit: string;
  readonly project: string;
  readonly url: string;
  readonly token: string | null;
}

/** Takes statuses that are due; nobody else takes them for `takenMs`. */
export async function takeDueStatuses(
  queries: Queries,
  takenMs: number,
  limit: number,
): Promise<DueStatus[]> {
  return queries<DueStatus[]>`
    with due as (
      select build from commit_statuses where gave_up_at is null and due_at <= now()
      order by due_at limit ${limit} for update skip locked
    ), taken as (
      update commit_statuses s set due_at = now() + ${takenMs} * interval '1 millisecond',
        tries = s.tries + 1
      from due where s.build = due.build returning s.build, s.version, s.tries
    )
    select taken.build, taken.version, taken.tries, b.state, b.failure ->> 'message' as reason,
      b.commit_id as commit, b.project, t.url, t.token
    from taken join builds b on b.id = taken.build
    join commit_status_targets t on t.project = b.project`;
}

/** It was told; what has changed since stays to be told, and is due at once. */
export async function endStatus(queries: Queries, told: DueStatus): Promise<void> {
  await queries`
    with gone as (
      delete from commit_statuses where build = ${told.build} and version = ${told.version}
    )
    update commit_statuses set due_at = now()
    where build = ${told.build} and version <> ${told.version}`;
}

/** It wasn't told: again after `againMs`, or, when that is null, never. */
export async function delayStatus(
  queries: Queries,
  status: DueStatus,
  problem: string,
  againMs: number | null,
): Promise<void> {
  await queries`
    update commit_statuses set problem = ${problem},
      due_at = now() + ${againMs ?? 0} * interval '1 millisecond',
      gave_up_at = case when ${againMs === null} then now() end
    where build = ${status.build} and version = ${status.version}`;
}
