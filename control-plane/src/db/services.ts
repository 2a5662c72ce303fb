// Services, their releases, and the quarantines of releases.
import {
  type Quarantine,
  type Service,
  quarantine as quarantineSchema,
  service as serviceSchema,
  type serviceInput,
  type servicePatch,
} from "@shoal/api/control-plane";
import { release as releaseSchema } from "@shoal/api/release";
import type { Release } from "@shoal/core/rollout/release";
import type { z } from "zod";
import type { Queries } from "./connection.ts";
import {
  type Page,
  type PageQuery,
  namePairKey,
  nameTripleKey,
  pageOf,
  readCursor,
} from "./page.ts";

export interface ServiceName {
  readonly environment: string;
  readonly service: string;
}

const columns = (queries: Queries) => queries`
  s.environment, s.name, s.project, s.run, s.selector, s.created_at as "createdAt",
  (select body from releases r where r.environment = s.environment and r.service = s.name
    and r.id = s.current_release) as current`;

/** False when there is one of that name. */
export async function insertService(
  queries: Queries,
  input: z.output<typeof serviceInput>,
): Promise<boolean> {
  const inserted = await queries`
    insert into services (environment, name, project, run, selector)
    values (${input.environment}, ${input.name}, ${input.project},
      ${queries.json(input.run as never)}, ${queries.json(input.selector)})
    on conflict (environment, name) do nothing`;
  return inserted.count > 0;
}

export async function findService(queries: Queries, name: ServiceName): Promise<Service | null> {
  const [row] = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from services s
    where s.environment = ${name.environment} and s.name = ${name.service}`;
  return row === undefined ? null : serviceOf(row);
}

export async function listServices(queries: Queries, query: PageQuery): Promise<Page<Service>> {
  const [environment, name] = readCursor(query.cursor, namePairKey) ?? ["", ""];
  const rows = await queries<Record<string, unknown>[]>`
    select ${columns(queries)} from services s
    where (s.environment, s.name) > (${environment}, ${name})
    order by s.environment, s.name limit ${query.limit + 1}`;
  return pageOf(
    rows.map(serviceOf),
    query.limit,
    (service) => [service.environment, service.name],
    (service) => service,
  );
}

/** Changes how, or whom, a service runs on. */
export async function updateService(
  queries: Queries,
  name: ServiceName,
  patch: z.output<typeof servicePatch>,
): Promise<void> {
  const { run, selector } = patch;
  await queries`
    update services set
      run = coalesce(${run === undefined ? null : queries.json(run as never)}, run),
      selector = coalesce(${selector === undefined ? null : queries.json(selector)}, selector)
    where environment = ${name.environment} and name = ${name.service}`;
}

/** Every service of an environment. */
export async function servicesOf(queries: Queries, environment: string): Promise<ServiceName[]> {
  return queries<ServiceName[]>`
    select environment, name as service from services where environment = ${environment}
    order by name`;
}

export interface LockedService extends Service {
  readonly fallback: Release | null;
  /** The database's clock, in milliseconds since 1970: the same for every control plane. */
  readonly nowMs: number;
}

/** A service, held until the transaction ends: who deploys, rolls back or drives goes one by one. */
export async function lockService(
  queries: Queries,
  name: ServiceName,
): Promise<LockedService | null> {
  const [row] = await queries<Record<string, unknown>[]>`
    select ${columns(queries)},
      (select body from releases r where r.environment = s.environment and r.service = s.name
        and r.id = s.fallback_release) as fallback,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs"
    from services s where s.environment = ${name.environment} and s.name = ${name.service}
    for update of s`;
  if (row === undefined) return null;
  const { fallback, nowMs, ...rest } = row;
  return {
    ...serviceOf(rest),
    fallback: fallback === null ? null : releaseSchema.parse(fallback),
    nowMs: Number(nowMs),
  };
}

/** What a locked service runs from now on, and what its hosts fall back to. */
export async function setReleases(
  queries: Queries,
  name: ServiceName,
  current: string | null,
  fallback: string | null,
): Promise<void> {
  await queries`
    update services set current_release = ${current}, fallback_release = ${fallback}
    where environment = ${name.environment} and name = ${name.service}`;
}

/** A release is never changed: its id is the hash of it. */
export async function insertRelease(
  queries: Queries,
  name: ServiceName,
  release: Release,
): Promise<void> {
  await queries`
    insert into releases (environment, service, id, body, artifact)
    values (${name.environment}, ${name.service}, ${release.id},
      ${queries.json(release as never)}, ${release.artifact})
    on conflict (environment, service, id) do nothing`;
}

export async function findRelease(
  queries: Queries,
  name: ServiceName,
  id: string,
): Promise<Release | null> {
  const [row] = await queries<{ body: unknown }[]>`
    select body from releases
    where environment = ${name.environment} and service = ${name.service} and id = ${id}`;
  return row === undefined ? null : releaseSchema.parse(row.body);
}

/** The newest release that went out everywhere and isn't quarantined, other than the ones given. */
export async function newestGoodRelease(
  queries: Queries,
  name: ServiceName,
  except: readonly string[],
): Promise<Release | null> {
  const [row] = await queries<{ body: unknown }[]>`
    select r.body from rollouts o
    join releases r on r.environment = o.environment and r.service = o.service and r.id = o.release
    join artifacts a on a.cid = r.artifact and a.retired_at is null
    where o.environment = ${name.environment} and o.service = ${name.service} and o.succeeded
      and o.release <> all(${[...except]}::text[])
      and not exists (select from quarantines q where q.environment = o.environment
        and q.service = o.service and q.release = o.release)
    order by o.id desc limit 1`;
  return row === undefined ? null : releaseSchema.parse(row.body);
}

export async function quarantineRelease(
  queries: Queries,
  name: ServiceName,
  release: string,
  reason: string,
): Promise<void> {
  await queries`
    insert into quarantines (environment, service, release, reason)
    values (${name.environment}, ${name.service}, ${release}, ${reason})
    on conflict (environment, service, release) do nothing`;
}

/** Why a release is quarantined, or null. */
export async function findQuarantine(
  queries: Queries,
  name: ServiceName,
  release: string,
): Promise<string | null> {
  const [row] = await queries<{ reason: string }[]>`
    select reason from quarantines where environment = ${name.environment}
      and service = ${name.service} and release = ${release}`;
  return row?.reason ?? null;
}

export async function liftQuarantine(
  queries: Queries,
  name: ServiceName,
  release: string,
): Promise<void> {
  await queries`
    delete from quarantines where environment = ${name.environment}
      and service = ${name.service} and release = ${release}`;
}

export async function listQuarantines(
  queries: Queries,
  query: PageQuery,
): Promise<Page<Quarantine>> {
  const [environment, service, release] = readCursor(query.cursor, nameTripleKey) ?? ["", "", ""];
  const rows = await queries<(Record<string, unknown> & { since: Date })[]>`
    select q.environment, q.service, q.release, r.artifact, q.reason, q.since
    from quarantines q
    join releases r on r.environment = q.environment and r.service = q.service and r.id = q.release
    where (q.environment, q.service, q.release) > (${environment}, ${service}, ${release})
    order by q.environment, q.service, q.release limit ${query.limit + 1}`;
  return pageOf(
    rows.map((row) => quarantineSchema.parse({ ...row, since: row.since.toISOString() })),
    query.limit,
    (item) => [item.environment, item.service, item.release],
    (item) => item,
  );
}

function serviceOf(row: Record<string, unknown>): Service {
  const createdAt = row["createdAt"];
  return serviceSchema.parse({
    ...row,
    createdAt: createdAt instanceof Date ? createdAt.toISOString() : createdAt,
  });
}
