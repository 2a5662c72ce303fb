// Builds as people see them.
import { type Build, build as buildSchema } from "@shoal/api/control-plane";
import type { BuildState } from "@shoal/core/build/state";
import type { Queries } from "./connection.ts";
import { isoDates } from "./iso-dates.ts";
import { type Page, type PageQuery, idKey, pageOf, readCursor } from "./page.ts";

/** Regions that hold the artifact, and in-service ones (and the home region) that don't. */
const columns = (queries: Queries) => queries`
  b.id, b.project, b.commit_id as commit, b.priority, b.state, b.attempt,
  b.forced, b.retry_of as "retryOf", b.scheduled_for as "scheduledFor", b.builder, b.artifact,
  b.artifact_bytes as "artifactBytes", b.bytes_uploaded as "bytesUploaded", b.failure,
  b.created_at as "createdAt", b.leased_at as "leasedAt", b.published_at as "publishedAt",
  b.ended_at as "endedAt",
  coalesce((select array_agg(r.name order by r.name) from regions r
    where b.artifact is not null and exists (
      select from seeder_artifacts a join seeders s on s.name = a.seeder
      where a.artifact = b.artifact and s.region = r.name)), '{}') as "regionsHolding",
  coalesce((select array_agg(r.name order by r.name) from regions r
    where b.artifact is not null and (r.in_service or r.home) and not exists (
      select from seeder_artifacts a join seeders s on s.name = a.seeder
      where a.artifact = b.artifact and s.region = r.name)), '{}') as "regionsMissing"`;

export interface NewBuild {
  readonly project: string;
  readonly commit: string;
  readonly priority: number;
  /** Also when the commit has a build that isn't over or has succeeded. */
  readonly force: boolean;
  readonly scheduledFor: string | null;
  readonly retryOf: number | null;
  /** Branch that the commit was taken from, if that is known. */
  readonly branch: string | null;
}

/** A project's turn costs this much virtual time, divided by its share. */
const turn = 1_000_000;

/**
 * Queues a build; undefined when the commit has one that isn't over or has succeeded. A cancelled
 * one that still has to stop doesn't count: whoever asks again wants another.
 *
 * Its tag is its place among the projects' turns (start-time fair queueing, Goyal et al. 1996): one
 * turn after the project's last build, and not before the head of the lane, so that a project that
 * was idle has saved up nothing.
 */
export async function insertBuild(queries: Queries, input: NewBuild): Promise<number | undefined> {
  const [row] = await queries<{ id: number }[]>`
    with head as (
      select coalesce(
        (select tag from builds where state = 'QUEUED' and lane = ${-input.priority}
          order by lane, tag, id limit 1),
        (select max(tag) from project_shares), 0) as tag
    ), turned as (
      insert into project_shares as s (project, tag)
      select p.name, head.tag from projects p, head
      where p.name = ${input.project}
        and (${input.force} or not exists (
          select from builds where project = ${input.project} and commit_id = ${input.commit}
            and state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not forced))
      on conflict (project) do update
        set tag = greatest(s.tag + (select ${turn} / build_share from projects
          where name = ${input.project}), (select tag from head))
      returning tag
    )
    insert into builds (project, commit_id, priority, tag, forced, scheduled_for, retry_of, not_before,
      branch, reports_status)
    select ${input.project}, ${input.commit}, ${input.priority}, tag, ${input.force},
      ${input.scheduledFor}::timestamptz, ${input.retryOf}::integer,
      coalesce(${input.scheduledFor}::timestamptz, now()), ${input.branch},
      exists (select from commit_status_targets where project = ${input.project})
    from turned
    on conflict (project, commit_id)
      where state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not forced
    do nothing returning id`;
  return row?.id;
}

/** Says which branch a build's commit was taken from, unless that is known. */
export async function noteBranch(queries: Queries, id: number, branch: string): Promise<void> {
  await queries`update builds set branch = ${branch} where id = ${id} and branch is null`;
}

/** The build that keeps a commit from being queued again. */
export async function findLiveBuild(
  queries: Queries,
  project: string,
  commit: string,
): Promise<number | undefined> {
  const [row] = await queries<{ id: number }[]>`
    select id from builds where project = ${project} and commit_id = ${commit}
      and state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not forced`;
  return row?.id;
}

/** How many builds wait, counted no further than `max`. */
export async function countQueued(queries: Queries, max: number): Promise<number> {
  const [row] = await queries<{ count: number }[]>`
    select count(*)::int as count
    from (select from builds where state = 'QUEUED' limit ${max}) as queued`;
  return row?.count ?? 0;
}

export async function findBuildState(queries: Queries, id: number): Promise<BuildState | null> {
  const [row] = await queries<{ state: BuildState }[]>`select state from builds where id = ${id}`;
  return row?.state ?? null;
}

/** What a build is of; it never changes. */
export interface BuildSource {
  readonly project: string;
  readonly commit: string;
}

export async function findSource(queries: Queries, id: number): Promise<BuildSource | null> {
  const [row] = await queries<BuildSource[]>`
    select project, commit_id as commit from builds where id = ${id}`;
  return row ?? null;
}

/** The number of a build's newest attempt; null when there is no such build. */
export async function findAttemptNumber(queries: Queries, id: number): Promise<number | null> {
  const [row] = await queries<{ attempt: number }[]>`select attempt from builds where id = ${id}`;
  return row?.attempt ?? null;
}

export async function findBuild(queries: Queries, id: number): Promise<Build | null> {
  const [row] = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from builds b where b.id = ${id}`;
  return row === undefined ? null : buildOf(row);
}

/** The newest first. */
export async function listBuilds(
  queries: Queries,
  query: PageQuery & { readonly project?: string | undefined },
): Promise<Page<Build>> {
  const [before = 2_147_483_647] = readCursor(query.cursor, idKey) ?? [];
  const rows = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from builds b
    where b.id < ${before}
      and ${query.project === undefined ? queries`true` : queries`b.project = ${query.project}`}
    order by b.id desc limit ${query.limit + 1}`;
  return pageOf(
    rows.map(buildOf),
    query.limit,
    (row) => [row.id],
    (row) => row,
  );
}

function buildOf(row: Record<string, unknown>): Build {
  return buildSchema.parse(isoDates(row));
}
