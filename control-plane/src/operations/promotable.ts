// The rule that an environment takes only what another one ran.
import { ShoalError } from "@shoal/core/error";
import { ranEverywhere } from "../db/artifacts-ran.ts";
import type { Queries } from "../db/connection.ts";
import { findEnvironment } from "../db/environments.ts";
import type { ServiceName } from "../db/services.ts";

/** Throws `promotion_required` when the environment takes only what ran in another one, and this didn't. */
export async function requirePromotable(
  queries: Queries,
  name: ServiceName,
  artifact: string,
): Promise<void> {
  const environment = await findEnvironment(queries, name.environment);
  const from = environment?.promotesFrom ?? null;
  if (from === null || (await ranEverywhere(queries, { ...name, environment: from }, artifact)))
    return;
  throw new ShoalError(
    "promotion_required",
    `${name.environment} takes only what went out to everybody in ${from}, and this build didn't.`,
    { blame: "remote", hint: `Deploy it to ${from}/${name.service} first.`, details: { from } },
  );
}
