// Environments: which regions and hosts they are, and their rules.
import {
  type Environment,
  environment as environmentSchema,
  type environmentInput,
  type environmentPatch,
} from "@shoal/api/environments";
import type { z } from "zod";
import type { Queries } from "./connection.ts";
import { type Page, type PageQuery, nameKey, pageOf, readCursor } from "./page.ts";

type Input = z.output<typeof environmentInput>;

/** False when there is one of that name. */
export async function insertEnvironment(queries: Queries, input: Input): Promise<boolean> {
  const inserted = await queries`
    insert into environments (name) values (${input.name}) on conflict do nothing`;
  if (inserted.count === 0) return false;
  await updateEnvironment(queries, input.name, input);
  return true;
}

/** Changes what is given; false when there is no such environment. */
export async function updateEnvironment(
  queries: Queries,
  name: string,
  patch: z.output<typeof environmentPatch>,
): Promise<boolean> {
  const [row] = await queries<Record<string, unknown>[]>`
    select regions, selector, promotes_from as "promotesFrom", deploys_branch as "deploysBranch",
      promotes_after_ms::float8 as "promotesAfterMs", policy, secrets_key as "secretsKey"
    from environments where name = ${name} for update`;
  if (row === undefined) return false;
  const next = { ...row, ...patch } as Omit<Input, "name">;
  await queries`
    update environments set
      regions = ${next.regions === null ? null : queries.json(next.regions)},
      selector = ${queries.json(next.selector)}, promotes_from = ${next.promotesFrom},
      deploys_branch = ${next.deploysBranch}, promotes_after_ms = ${next.promotesAfterMs},
      policy = ${queries.json(next.policy)}, secrets_key = ${next.secretsKey}
    where name = ${name}`;
  return true;
}

export async function findEnvironment(queries: Queries, name: string): Promise<Environment | null> {
  const [row] = await selectEnvironments(queries, queries`where e.name = ${name}`, 1);
  return row ?? null;
}

export async function listEnvironments(
  queries: Queries,
  query: PageQuery,
): Promise<Page<Environment>> {
  const [after = ""] = readCursor(query.cursor, nameKey) ?? [];
  const rows = await selectEnvironments(queries, queries`where e.name > ${after}`, query.limit + 1);
  return pageOf(
    rows,
    query.limit,
    (row) => [row.name],
    (row) => row,
  );
}

/** Regions in service, each with whether it belongs to the environment. */
export async function regionsOf(
  queries: Queries,
  environment: string,
): Promise<{ readonly region: string; readonly belongs: boolean }[]> {
  return queries`
    select r.name as region, coalesce(e.regions is null or e.regions ? r.name, false) as belongs
    from regions r left join environments e on e.name = ${environment}
    where r.in_service order by r.name`;
}

async function selectEnvironments(
  queries: Queries,
  where: ReturnType<Queries>,
  limit: number,
): Promise<Environment[]> {
  const rows = await queries<(Record<string, unknown> & { createdAt: Date })[]>`
    select e.name, e.regions, e.selector, e.promotes_from as "promotesFrom",
      e.deploys_branch as "deploysBranch", e.promotes_after_ms::float8 as "promotesAfterMs",
      e.policy, e.secrets_key as "secretsKey", e.created_at as "createdAt",
      (select count(*)::int from services s where s.environment = e.name) as services
    from environments e ${where} order by e.name limit ${limit}`;
  return rows.map((row) =>
    environmentSchema.parse({ ...row, createdAt: row.createdAt.toISOString() }),
  );
}
