// Projects.
import {
  type Project,
  type projectInput,
  type projectPatch,
  project as projectSchema,
} from "@shoal/api/control-plane";
import type { z } from "zod";
import type { Queries } from "./connection.ts";
import { type Page, type PageQuery, nameKey, pageOf, readCursor } from "./page.ts";

interface ProjectRow {
  readonly name: string;
  readonly remoteUrl: string;
  readonly buildCommand: string;
  readonly artifactPath: string;
  readonly prepare: unknown;
  readonly test: unknown;
  readonly limits: unknown;
  readonly buildsRunningMax: number | null;
  readonly buildShare: number;
  readonly branches: readonly string[];
  readonly builderLabels: unknown;
  readonly createdAt: Date;
}

const columns = (queries: Queries) => queries`
  name, remote_url as "remoteUrl", build_command as "buildCommand", artifact_path as "artifactPath",
  prepare, test, limits, builds_running_max as "buildsRunningMax", build_share as "buildShare",
  branches, builder_labels as "builderLabels", created_at as "createdAt"`;

/** Null when the name is taken. */
export async function insertProject(
  queries: Queries,
  input: z.output<typeof projectInput>,
): Promise<Project | null> {
  const [row] = await queries<ProjectRow[]>`
    insert into projects (name, remote_url, build_command, artifact_path, prepare, test,
      limits, builds_running_max, build_share, branches, builder_labels)
    values (${input.name}, ${input.remoteUrl}, ${input.buildCommand}, ${input.artifactPath},
      ${input.prepare === null ? null : queries.json(input.prepare)},
      ${input.test === null ? null : queries.json(input.test)},
      ${queries.json(input.limits)}, ${input.buildsRunningMax}, ${input.buildShare}, ${input.branches},
      ${queries.json(input.builderLabels)})
    on conflict (name) do nothing returning ${columns(queries)}`;
  return row === undefined ? null : projectOf(row);
}

export async function findProject(queries: Queries, name: string): Promise<Project | null> {
  const [row] = await queries<ProjectRow[]>`
    select ${columns(queries)} from projects where name = ${name}`;
  return row === undefined ? null : projectOf(row);
}

/** Changes what is given; null when there is no such project. */
export async function updateProject(
  queries: Queries,
  name: string,
  patch: z.output<typeof projectPatch>,
): Promise<Project | null> {
  const { prepare, test, limits, builderLabels } = patch;
  const json = (value: object | null | undefined) =>
    value == null ? value : queries.json(value as never);
  const given = Object.entries({
    remote_url: patch.remoteUrl,
    build_command: patch.buildCommand,
    artifact_path: patch.artifactPath,
    prepare: json(prepare),
    test: json(test),
    limits: json(limits),
    builds_running_max: patch.buildsRunningMax,
    build_share: patch.buildShare,
    branches: patch.branches,
    builder_labels: json(builderLabels),
    // Branches that are new are looked at soon.
    heads_due_at: patch.branches === undefined ? undefined : new Date(0),
  }).filter(([, value]) => value !== undefined);
  if (given.length === 0) return findProject(queries, name);
  const [row] = await queries<ProjectRow[]>`
    update projects set ${queries(Object.fromEntries(given) as never)} where name = ${name}
    returning ${columns(queries)}`;
  return row === undefined ? null : projectOf(row);
}

export async function listProjects(queries: Queries, query: PageQuery): Promise<Page<Project>> {
  const [after = ""] = readCursor(query.cursor, nameKey) ?? [];
  const rows = await queries<ProjectRow[]>`
    select ${columns(queries)} from projects where name > ${after}
    order by name limit ${query.limit + 1}`;
  return pageOf(rows, query.limit, (row) => [row.name], projectOf);
}

function projectOf(row: ProjectRow): Project {
  return projectSchema.parse({ ...row, createdAt: row.createdAt.toISOString() });
}
