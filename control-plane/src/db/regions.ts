// Regions, as people see them: with their seeders.
import { type Region, region as regionSchema } from "@shoal/api/control-plane";
import type { Queries } from "./connection.ts";
import { type Page, type PageQuery, nameKey, pageOf, readCursor } from "./page.ts";

export interface RegionRow {
  readonly name: string;
  readonly home: boolean;
  readonly inService: boolean;
}

/** False when the name is taken, or when it would be a second home. */
export async function insertRegion(queries: Queries, row: RegionRow): Promise<boolean> {
  const inserted = await queries`
    insert into regions (name, home, in_service)
    select ${row.name}, ${row.home}, ${row.inService}
    where not (${row.home} and exists (select from regions where home))
    on conflict (name) do nothing`;
  return inserted.count > 0;
}

/** Changes what is given. A new home takes the place of the old one. */
export async function updateRegion(
  queries: Queries,
  name: string,
  change: { readonly home?: true | undefined; readonly inService?: boolean | undefined },
): Promise<void> {
  if (change.home === true) {
    await queries`update regions set home = false where home and name <> ${name}`;
  }
  await queries`
    update regions set home = home or ${change.home ?? false},
      in_service = coalesce(${change.inService ?? null}, in_service)
    where name = ${name}`;
}

export async function findRegion(queries: Queries, name: string): Promise<Region | null> {
  const [row] = await selectRegions(queries, queries`where r.name = ${name}`, 1);
  return row ?? null;
}

export async function listRegions(queries: Queries, query: PageQuery): Promise<Page<Region>> {
  const [after = ""] = readCursor(query.cursor, nameKey) ?? [];
  const rows = await selectRegions(queries, queries`where r.name > ${after}`, query.limit + 1);
  return pageOf(
    rows,
    query.limit,
    (row) => [row.name],
    (row) => row,
  );
}

export async function homeRegion(queries: Queries): Promise<string | null> {
  const [row] = await queries<{ name: string }[]>`select name from regions where home`;
  return row?.name ?? null;
}

async function selectRegions(
  queries: Queries,
  where: ReturnType<Queries>,
  limit: number,
): Promise<Region[]> {
  const rows = await queries<Record<string, unknown>[]>`
    select r.name, r.home, r.in_service as "inService",
      coalesce(sum(s.hosts), 0)::int as hosts,
      coalesce(jsonb_agg(jsonb_build_object('url', s.url, 'peerId', s.peer_id,
        'seenAt', to_char(s.seen_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
        order by s.name) filter (where s.name is not null), '[]') as seeders
    from regions r left join seeders s on s.region = r.name
    ${where} group by r.name order by r.name limit ${limit}`;
  return rows.map((row) => regionSchema.parse(row));
}
