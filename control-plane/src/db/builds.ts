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
const turnCost = 1_000_000;

/**
 * Queues builds of one project and priority, in this order; undefined for each whose commit has one that
 * isn't over or has succeeded. A cancelled one that still has to stop doesn't count: whoever asks again
 * wants another.
 */
export async function insertBuilds(
  queries: Queries,
  of: Pick<NewBuild, "project" | "priority">,
  inputs: readonly NewBuild[],
): Promise<(number | undefined)[]> {
  const given = inputs.map(({ commit, force, scheduledFor, retryOf, branch }, turn) => {
    return { turn, commit, force, scheduledFor, retryOf, branch };
  });
  const rows = await queries<{ turn: number; id: number }[]>`
    select turn, id
    from start_builds(${of.project}, ${of.priority}, ${turnCost}, ${queries.json(given)})`;
  const ids = new Map(rows.map(({ turn, id }) => [turn, id]));
  return inputs.map((_, turn) => ids.get(turn));
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
  return (await findBuilds(queries, [id])).get(id) ?? null;
}

/** Builds by id; those that there aren't are left out. */
export async function findBuilds(
  queries: Queries,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Build>> {
  const rows = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from builds b where b.id = any(${ids as number[]})`;
  return new Map(rows.map(buildOf).map((found) => [found.id, found]));
}

/**
 * The newest first. A project's are asked for as a range of (project, id), in that order: equality would
 * let Postgres walk along the primary key past all other projects' builds when it thinks them few.
 */
export async function listBuilds(
  queries: Queries,
  query: PageQuery & { readonly project?: string | undefined },
): Promise<Page<Build>> {
  const { project, limit, cursor } = query;
  const [before = 2_147_483_647] = readCursor(cursor, idKey) ?? [];
  const those =
    project === undefined
      ? queries`b.id < ${before} order by b.id desc`
      : queries`(b.project, b.id) < (${project}, ${before}) and b.project >= ${project}
        order by b.project desc, b.id desc`;
  const rows = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from builds b where ${those} limit ${limit + 1}`;
  return pageOf(
    rows.map(buildOf),
    limit,
    (row) => [row.id],
    (row) => row,
  );
}

function buildOf(row: Record<string, unknown>): Build {
  return buildSchema.parse(isoDates(row));
}
