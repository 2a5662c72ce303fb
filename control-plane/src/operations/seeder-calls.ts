// What seeders say: where they are, what they hold, what their hosts do in sum; and passports for
// hosts that bring a join token. A seeder that knows goals which we don't have shows that our
// database is a restored backup: the epoch rises above everything it knows.
import type { passportAnswer, passportInput, registerInput, registered } from "@shoal/api/seeder";
import type { SeederReport } from "@shoal/api/seeder";
import { digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import { epochJumpMax, epochMax } from "@shoal/core/limits";
import type { z } from "zod";
import { type Queries, inTransaction } from "../db/connection.ts";
import { raiseEpoch, readEpoch } from "../db/fleet.ts";
import {
  countsAreAhead,
  noteReport,
  registerSeeder,
  replaceHeldArtifacts,
  replaceServiceCounts,
} from "../db/seeders.ts";
import { joinWithToken } from "../db/tokens.ts";
import { notify } from "../db/wakeups.ts";
import { refuseRevoked, whyNot } from "./joining.ts";
import type { Member } from "./known-members.ts";
import { hashToken } from "./secrets.ts";
import { type TrustDeps, learnRevocations } from "./trust.ts";

/** As its passport says it. */
export type SeederIdentity = Pick<Member, "name" | "region" | "peerId">;

export type SeederCallDeps = TrustDeps;

export async function register(
  deps: SeederCallDeps,
  seeder: SeederIdentity,
  input: z.output<typeof registerInput>,
): Promise<z.infer<typeof registered>> {
  const { url, swarmAddresses } = input;
  const { name, region, peerId } = seeder;
  await learnRevocations(deps, region, input.revocations);
  await inTransaction(deps.database, async (queries) => {
    await registerSeeder(queries, { name, region, url, peerId, swarmAddresses });
    await riseAbove(deps, queries, seeder, input.goalEpochMax, false);
    await notify(queries, "plan");
    // Builders may have waited for a place to push to.
    await notify(queries, "queue");
  });
  const delegation = await deps.authority.issueDelegation({ peerId, region });
  return { region, delegation };
}

export async function takeReport(
  deps: SeederCallDeps,
  seeder: SeederIdentity,
  report: SeederReport,
): Promise<void> {
  const held = [...new Set(report.held)].toSorted();
  const heldDigest = toHex(digest(Buffer.from(held.join("\n"))));
  await inTransaction(deps.database, async (queries) => {
    const before = await noteReport(queries, seeder.name, { hosts: report.hosts, heldDigest });
    if (before === null) {
      throw new ShoalError("seeder_not_registered", "This seeder hasn't registered.", {
        blame: "remote",
        hint: "Register, then report.",
      });
    }
    await replaceServiceCounts(queries, seeder.name, report.services);
    const ahead = await countsAreAhead(queries, seeder.name);
    await riseAbove(deps, queries, seeder, report.goalEpochMax, ahead);
    if (before !== heldDigest) {
      await replaceHeldArtifacts(queries, seeder.name, held);
      await notify(queries, "plan");
    }
    await notify(queries, "rollouts");
  });
}

/** A passport for a host that a seeder of the token's region vouches to have seen the key of. */
export async function admitHost(
  deps: SeederCallDeps,
  seeder: SeederIdentity,
  input: z.output<typeof passportInput>,
): Promise<z.infer<typeof passportAnswer>> {
  const { joinToken, peerId, host, zone, labels } = input;
  const { region } = seeder;
  const joining = { role: "host", peerId, host, zone, labels, region } as const;
  await refuseRevoked(deps.database, peerId);
  const hash = hashToken(joinToken);
  const joined = await joinWithToken(deps.database, hash, joining);
  if (joined === null) throw await whyNot(deps, hash, joining);
  const passport = await deps.authority.issuePassport({ ...joining, ...joined });
  return { passport, environment: joined.environment };
}

/**
 * Raises the epoch when a seeder knows a higher one, or a newer goal within ours. A jump that no
 * restored backup explains is a lie and is ignored: it would use up the epochs.
 */
async function riseAbove(
  deps: SeederCallDeps,
  queries: Queries,
  seeder: SeederIdentity,
  known: number,
  ahead: boolean,
): Promise<void> {
  const present = await readEpoch(queries);
  if (known <= present && !ahead) return;
  const wanted = Math.max(known, present) + 1;
  if (wanted >= epochMax || wanted - present > epochJumpMax) {
    deps.log.warn({ seeder: seeder.name, known, present }, "ignored an epoch that can't be true");
    return;
  }
  if (await raiseEpoch(queries, wanted)) {
    deps.log.warn(
      { seeder: seeder.name, known, present, raisedTo: wanted },
      "a seeder knows newer goals than the database: it was restored, and the epoch rises",
    );
    await notify(queries, "rollouts");
  }
}
