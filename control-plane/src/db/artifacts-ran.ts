// Where an artifact has run.
import type { Queries } from "./connection.ts";
import type { ServiceName } from "./services.ts";

/** Whether a deploy of the artifact went out to every host of the service, and it isn't quarantined. */
export async function ranEverywhere(
  queries: Queries,
  name: ServiceName,
  artifact: string,
): Promise<boolean> {
  const [row] = await queries<{ ran: boolean }[]>`
    select exists (
      select from rollouts o join releases r
        on r.environment = o.environment and r.service = o.service and r.id = o.release
      where o.environment = ${name.environment} and o.service = ${name.service}
        and o.kind = 'deploy' and o.succeeded and r.artifact = ${artifact}
        and not exists (select from quarantines q where q.environment = o.environment
          and q.service = o.service and q.release = o.release)
    ) as ran`;
  return row?.ran ?? false;
}
