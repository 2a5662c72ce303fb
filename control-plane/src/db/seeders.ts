// Seeders: where they are, what they hold, and what their hosts said in sum. Each row belongs to the
// name that a seeder's token carries.
import type { ServiceCounts } from "@shoal/api/seeder";
import type { Queries } from "./connection.ts";

export interface SeederAddress {
  readonly name: string;
  readonly region: string;
  readonly url: string;
  readonly peerId: string;
}

export async function registerSeeder(
  queries: Queries,
  seeder: SeederAddress & { readonly swarmAddresses: readonly string[] },
): Promise<void> {
  await queries`
    insert into seeders (name, region, url, peer_id, swarm_addresses)
    values (${seeder.name}, ${seeder.region}, ${seeder.url}, ${seeder.peerId},
      ${queries.json(seeder.swarmAddresses)})
    on conflict (name) do update set region = excluded.region, url = excluded.url,
      peer_id = excluded.peer_id, swarm_addresses = excluded.swarm_addresses, seen_at = now()`;
}

/** Notes that a seeder reported; null when it never registered, else the digest of what it held before. */
export async function noteReport(
  queries: Queries,
  name: string,
  report: { readonly hosts: number; readonly heldDigest: string },
): Promise<string | null> {
  const [row] = await queries<{ before: string }[]>`
    with before as (select held_digest from seeders where name = ${name} for update)
    update seeders set hosts = ${report.hosts}, held_digest = ${report.heldDigest},
      seen_at = now(), reported_at = now()
    from before where name = ${name} returning before.held_digest as before`;
  return row?.before ?? null;
}

export async function replaceHeldArtifacts(
  queries: Queries,
  seeder: string,
  held: readonly string[],
): Promise<void> {
  await queries`
    with held as (select distinct unnest(${[...held]}::text[]) as artifact),
    dropped as (
      delete from seeder_artifacts where seeder = ${seeder}
        and artifact not in (select artifact from held)
    )
    insert into seeder_artifacts (seeder, artifact) select ${seeder}, artifact from held
    on conflict do nothing`;
}

/** Counts of services that are the same as before aren't written again. */
export async function replaceServiceCounts(
  queries: Queries,
  seeder: string,
  services: readonly ServiceCounts[],
): Promise<void> {
  await queries`
    with given as (
      select distinct on (1, 2) body ->> 'environment' as environment,
        body ->> 'service' as service, body
      from jsonb_array_elements(${queries.json(services)}::jsonb) as body
    ), dropped as (
      delete from service_counts c where seeder = ${seeder} and not exists (
        select from given g where g.environment = c.environment and g.service = c.service)
    )
    insert into service_counts as c (environment, service, seeder, counts)
    select environment, service, ${seeder}, body from given
    on conflict (environment, service, seeder) do update set counts = excluded.counts
    where c.counts is distinct from excluded.counts`;
}

/** Whether a seeder counted with a goal that is newer than any we wrote: our database is a restored one. */
export async function countsAreAhead(queries: Queries, seeder: string): Promise<boolean> {
  const [row] = await queries<{ ahead: boolean }[]>`
    select exists (
      select from service_counts c left join goals g
        on g.environment = c.environment and g.service = c.service
        and g.region = (select region from seeders where name = ${seeder})
      where c.seeder = ${seeder} and (c.counts ->> 'epoch')::bigint > 0
        and ((c.counts ->> 'epoch')::bigint, (c.counts ->> 'generation')::bigint)
          > (coalesce(g.epoch, 0), coalesce(g.generation, 0))
    ) as ahead`;
  return row?.ahead ?? false;
}

export interface SeederCounts {
  readonly seeder: string;
  readonly region: string;
  /** Whether the seeder reported within the given time. */
  readonly fresh: boolean;
  /** Null when it has nothing to say about the service. */
  readonly counts: ServiceCounts | null;
}

/** What every seeder of the regions in service says about one service. */
export async function serviceCountsOf(
  queries: Queries,
  environment: string,
  service: string,
  freshMs: number,
): Promise<SeederCounts[]> {
  return queries<SeederCounts[]>`
    select s.name as seeder, s.region, c.counts,
      coalesce(s.reported_at > now() - ${freshMs} * interval '1 millisecond', false) as fresh
    from seeders s join regions r on r.name = s.region and r.in_service
    left join service_counts c
      on c.seeder = s.name and c.environment = ${environment} and c.service = ${service}
    order by s.region, s.name`;
}

/** The seeders of one region, the one heard of last first. */
export async function seedersOf(
  queries: Queries,
  region: string,
): Promise<(SeederAddress & { readonly swarmAddresses: string[] })[]> {
  return queries`
    select name, region, url, peer_id as "peerId", swarm_addresses as "swarmAddresses"
    from seeders where region = ${region} order by seen_at desc, name limit 64`;
}

/** Seeders from (region, name) on, in that order; of one region when it is given. */
export async function listSeeders(
  queries: Queries,
  region: string | undefined,
  from: readonly [region: string, name: string],
): Promise<SeederAddress[]> {
  return queries<SeederAddress[]>`
    select name, region, url, peer_id as "peerId" from seeders
    where (region, name) >= (${from[0]}, ${from[1]})
      and ${region === undefined ? queries`true` : queries`region = ${region}`}
    order by region, name limit 256`;
}
