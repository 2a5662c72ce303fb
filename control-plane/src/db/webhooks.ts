// Secrets of webhooks, and deliveries that were heeded.
import type { Queries } from "./connection.ts";

/** Adds a secret and forgets all but the two newest; false when there is no such project. */
export async function addWebhookSecret(
  queries: Queries,
  project: string,
  secret: string,
): Promise<boolean> {
  const added = await queries`
    with added as (
      insert into webhook_secrets (project, secret)
      select name, ${secret} from projects where name = ${project} returning id
    ), old as (
      delete from webhook_secrets where project = ${project} and id not in (
        select id from webhook_secrets where project = ${project} order by id desc limit 1)
    )
    select id from added`;
  return added.count > 0;
}

export async function webhookSecrets(queries: Queries, project: string): Promise<string[]> {
  const rows = await queries<{ secret: string }[]>`
    select secret from webhook_secrets where project = ${project} order by id desc limit 2`;
  return rows.map((row) => row.secret);
}

/** The build that a delivery led to, null for none; undefined when the delivery is new. */
export async function findDelivery(
  queries: Queries,
  project: string,
  delivery: string,
): Promise<number | null | undefined> {
  const [row] = await queries<{ build: number | null }[]>`
    select build from webhook_deliveries where project = ${project} and delivery = ${delivery}`;
  return row === undefined ? undefined : row.build;
}

/** Remembers a delivery, and forgets the project's very old ones. */
export async function noteDelivery(
  queries: Queries,
  project: string,
  delivery: string,
  build: number | null,
): Promise<void> {
  await queries`
    with old as (
      delete from webhook_deliveries where project = ${project} and at < now() - interval '30 days'
    )
    insert into webhook_deliveries (project, delivery, build)
    values (${project}, ${delivery}, ${build}) on conflict do nothing`;
}
