// Signed goals, one for each service and region.
import type { Envelope } from "@shoal/api/names";
import type { Queries } from "./connection.ts";
import type { ServiceName } from "./services.ts";

export interface StoredGoal {
  readonly region: string;
  readonly epoch: number;
  readonly generation: number;
  /** Canonical JSON of all but place and order. */
  readonly body: string;
  readonly keyId: string;
}

export async function goalsOfService(queries: Queries, name: ServiceName): Promise<StoredGoal[]> {
  return queries<StoredGoal[]>`
    select region, epoch, generation, body, key_id as "keyId" from goals
    where environment = ${name.environment} and service = ${name.service} order by region`;
}

/**
 * Writes a goal in place of the one that was read, or of none; false when somebody else wrote first.
 */
export async function swapGoal(
  queries: Queries,
  name: ServiceName,
  before: { readonly epoch: number; readonly generation: number } | null,
  goal: StoredGoal & { readonly envelope: Envelope },
): Promise<boolean> {
  const { region, epoch, generation, body, keyId, envelope } = goal;
  const written =
    before === null
      ? await queries`
          insert into goals
            (environment, service, region, epoch, generation, body, envelope, key_id)
          values (${name.environment}, ${name.service}, ${region}, ${epoch}, ${generation},
            ${body}, ${queries.json(envelope)}, ${keyId})
          on conflict do nothing`
      : await queries`
          update goals set epoch = ${epoch}, generation = ${generation}, body = ${body},
            envelope = ${queries.json(envelope)}, key_id = ${keyId}, updated_at = now()
          where environment = ${name.environment} and service = ${name.service}
            and region = ${region} and epoch = ${before.epoch}
            and generation = ${before.generation}`;
  return written.count > 0;
}

/** Every goal of a region, in a fixed order. */
export async function goalsOfRegion(queries: Queries, region: string): Promise<Envelope[]> {
  const rows = await queries<{ envelope: Envelope }[]>`
    select envelope from goals where region = ${region} order by environment, service`;
  return rows.map((row) => row.envelope);
}

/** Services that lack a goal in a region in service, or have one of another epoch or key. */
export async function servicesWithStaleGoals(
  queries: Queries,
  keyId: string,
  limit: number,
): Promise<ServiceName[]> {
  return queries<ServiceName[]>`
    select s.environment, s.name as service from services s
    where exists (select from rollouts o where o.environment = s.environment and o.service = s.name)
      and exists (
        select from regions r join environments e on e.name = s.environment left join goals g
          on g.environment = s.environment and g.service = s.name and g.region = r.name
        where r.in_service and (e.regions is null or e.regions ? r.name or g.region is not null)
          and (g.region is null or g.key_id <> ${keyId} or g.epoch <> (select epoch from fleet)))
    order by s.environment, s.name limit ${limit}`;
}
