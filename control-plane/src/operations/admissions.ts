// Hosts that seeders let in while they couldn't ask: the region's join tokens go down to them, and who
// came in goes up again and is counted.
import type { Admission, JoinTokens } from "@shoal/api/seeder";
import { joinTokensMax } from "@shoal/core/limits";
import { type Database, inTransaction } from "../db/connection.ts";
import { countAdmission, openJoinTokens } from "../db/tokens.ts";
import type { SeederIdentity } from "./seeder-calls.ts";

export async function listJoinTokens(database: Database, region: string): Promise<JoinTokens> {
  return { items: await openJoinTokens(database, region, joinTokensMax) };
}

/** Counts each admission once; a token that let in more than it may, at two places at once, is told. */
export async function takeAdmissions(
  {
    database,
    log,
  }: {
    readonly database: Database;
    readonly log: { warn(facts: object, message: string): void };
  },
  seeder: SeederIdentity,
  admissions: readonly Admission[],
): Promise<void> {
  for (const admission of admissions) {
    const joining = { ...admission, region: seeder.region };
    const counted = await inTransaction(database, (queries) => countAdmission(queries, joining));
    if (counted === "overspent") {
      const { host, peerId } = admission;
      log.warn(
        { seeder: seeder.name, host, peerId },
        "a join token let in more hosts than it may, while its seeder couldn't ask",
      );
    }
  }
}
