// Hosts of a service that are in trouble, as their seeders name them: bounded, while their number isn't.
import type { troubledHost } from "@shoal/api/control-plane";
import { seederSilentMs } from "@shoal/core/limits";
import type { z } from "zod";
import type { Queries } from "../db/connection.ts";
import { serviceCountsOf } from "../db/seeders.ts";
import { type ServiceName, findService } from "../db/services.ts";
import { notFound } from "./not-found.ts";

type Troubled = z.infer<typeof troubledHost>;

/** Every seeder's list, and how many hosts failed a release altogether. */
export async function listTroubled(
  queries: Queries,
  name: ServiceName,
): Promise<{ items: Troubled[]; failed: number }> {
  const { environment, service } = name;
  if ((await findService(queries, name)) === null)
    throw notFound("service", `${environment}/${service}`);
  const seeders = await serviceCountsOf(queries, environment, service, seederSilentMs);
  const items = seeders.flatMap(({ region, counts }) =>
    (counts?.troubled ?? []).map((host) => ({ region, ...host })),
  );
  const failed = seeders
    .flatMap(({ counts }) => counts?.releases ?? [])
    .reduce((sum, release) => sum + release.failed, 0);
  return { items, failed };
}
