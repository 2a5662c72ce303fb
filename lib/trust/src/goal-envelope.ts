// Signed goals (PROTOCOL.md 3.4). Whether a goal is newer than the one known is for the caller, by
// `compareGoalOrder`; whether it may be believed at all is decided here.
import { goal as goalSchema } from "@shoal/api/release";
import { remoteError } from "@shoal/core/error";
import type { Goal } from "@shoal/core/rollout/goal";
import { releaseId } from "@shoal/core/rollout/release-id";
import { type Envelope, signEnvelope } from "@shoal/core/trust/dsse";
import type { SigningKey } from "@shoal/core/trust/keys";
import { decodePayload, encodePayload } from "./payload.ts";
import type { TrustDocument } from "./trust-document.ts";
import { openByTrustedKey, requireAllowed } from "./trusted-keys.ts";

export const goalType = "application/vnd.shoal.goal.v1+json";

export function signGoal(key: SigningKey, goal: Goal): Envelope {
  return signEnvelope(goalType, encodePayload(goal), [key]);
}

/**
 * The goal in an envelope, signed by a key that the trust document allows for its environment.
 * @throws ShoalError of `openEnvelope` and `requireAllowed`, or `goal_invalid`: malformed, or it
 *   names a release by an id that isn't the hash of its content.
 */
export function verifyGoal(
  envelope: Envelope,
  trust: TrustDocument,
  { nowMs }: { readonly nowMs: number },
): Goal {
  const opened = openByTrustedKey(envelope, goalType, trust);
  const goal = decodePayload(opened.payload, goalSchema, "goal_invalid");
  requireAllowed(trust, opened.keys, { use: "goals", environment: goal.environment }, nowMs);
  for (const release of [...goal.prepare, goal.run, goal.fallback]) {
    if (release !== null && releaseId(release) !== release.id) {
      throw remoteError("goal_invalid", `${release.id} isn't the id of its release`);
    }
  }
  return goal;
}
