// Artifacts: what builds became, and which regions hold it.
import type { Queries } from "./connection.ts";

export interface PlannedArtifact {
  readonly cid: string;
  readonly project: string;
  readonly sources: { readonly region: string; readonly url: string; readonly peerId: string }[];
}

/** Every artifact that isn't retired, with the other regions' seeders that hold it, the home region's first. */
export async function planArtifacts(queries: Queries, region: string): Promise<PlannedArtifact[]> {
  return queries<PlannedArtifact[]>`
    select a.cid, a.project, coalesce((
      select jsonb_agg(jsonb_build_object('region', s.region, 'url', s.url, 'peerId', s.peer_id)
        order by r.home desc, s.region, s.name)
      from seeder_artifacts h join seeders s on s.name = h.seeder
      join regions r on r.name = s.region
      where h.artifact = a.cid and s.region <> ${region}), '[]') as sources
    from artifacts a where a.retired_at is null order by a.cid limit 100000`;
}

/** In-service regions and the home region that don't hold an artifact. */
export async function regionsMissing(queries: Queries, artifact: string): Promise<string[]> {
  const rows = await queries<{ name: string }[]>`
    select name from regions r where (in_service or home) and not exists (
      select from seeder_artifacts a join seeders s on s.name = a.seeder
      where a.artifact = ${artifact} and s.region = r.name)
    order by name`;
  return rows.map((row) => row.name);
}

export async function isRetired(queries: Queries, artifact: string): Promise<boolean> {
  const [row] = await queries<{ retired: boolean }[]>`
    select retired_at is not null as retired from artifacts where cid = ${artifact}`;
  return row?.retired ?? true;
}

/**
 * Retires artifacts beyond the newest ones of each project that no service runs, falls back to or
 * ran lately, and that no build waits for; answers how many.
 */
export async function retireArtifacts(queries: Queries, keepPerProject: number): Promise<number> {
  const retired = await queries`
    update artifacts a set retired_at = now()
    from (
      select cid, row_number() over (partition by project order by created_at desc, cid) as rank
      from artifacts where retired_at is null
    ) as ranked
    where ranked.cid = a.cid and ranked.rank > ${keepPerProject}
      and not exists (
        select from builds b where b.artifact = a.cid and b.state = 'REPLICATING')
      and not exists (
        select from services s join releases r
          on r.environment = s.environment and r.service = s.name
        where r.artifact = a.cid and (r.id in (s.current_release, s.fallback_release)
          or exists (select from rollouts o where o.environment = s.environment
            and o.service = s.name and o.release = r.id
            and (o.ended_at is null or o.id > (
              select coalesce(max(id), 0) - 20 from rollouts n
              where n.environment = s.environment and n.service = s.name)))))`;
  return retired.count;
}
