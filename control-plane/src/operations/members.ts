// Builders and seeders that join and renew: the same tokens, rows and passports as hosts', without a seeder
// in between.
import type { memberPassport } from "@shoal/api/control-plane";
import { remoteError } from "@shoal/core/error";
import { passportMs } from "@shoal/core/limits";
import { verifyJoinRequest } from "@shoal/trust/join-request";
import type { z } from "zod";
import { isUniqueViolation } from "../db/connection.ts";
import { findMemberNamed, joinWithToken } from "../db/tokens.ts";
import { refuseRevoked, whyNot } from "./joining.ts";
import type { Member } from "./known-members.ts";
import { hashToken } from "./secrets.ts";
import type { TrustDeps } from "./trust.ts";

type MemberPassport = z.infer<typeof memberPassport>;

/** Lets a builder or seeder in. Throws of `verifyJoinRequest`, `judgeJoin`, or `member_name_taken`. */
export async function joinMember(deps: TrustDeps, text: string): Promise<MemberPassport> {
  const { database, authority } = deps;
  const { role, name, peerId, joinToken } = await verifyJoinRequest(text, authority.nowMs());
  await refuseRevoked(database, peerId);
  const hash = hashToken(joinToken);
  const joining = { role, peerId, host: name, region: null, zone: "default", labels: {} };
  const joined = await joinWithToken(database, hash, joining).catch(async (error: unknown) => {
    if (!isUniqueViolation(error, "members_named")) throw error;
    const owner = await findMemberNamed(database, role, name);
    throw remoteError("member_name_taken", `${name} is the ${role} with the key of ${owner}.`);
  });
  if (joined === null) throw await whyNot(deps, hash, joining);
  const { region, labels } = joined;
  return passportFor(deps, { role, name, region, peerId, labels });
}

/** The next passport, with the same facts, of a member that has shown a good one. */
export function passportFor(
  { authority }: Pick<TrustDeps, "authority">,
  { role, name, region, peerId, labels }: Member,
): Promise<MemberPassport> {
  return authority
    .issuePassport({
      ...{ peerId, host: name, region, zone: "default", role, labels },
      // Seeders carry what every environment of the region runs; builders see no goals at all.
      environment: null,
    })
    .then((passport) => ({ passport, region, expiresAtMs: authority.nowMs() + passportMs }));
}
