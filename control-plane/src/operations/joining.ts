// Why somebody isn't let in, whatever the role and whoever asks.
import { ShoalError, remoteError } from "@shoal/core/error";
import { judgeJoin, type Joiner } from "@shoal/core/trust/join-rule";
import type { Queries } from "../db/connection.ts";
import { findJoinToken } from "../db/tokens.ts";
import { isRevoked } from "../db/trust.ts";
import type { TrustDeps } from "./trust.ts";

/** A key that was shut out never comes back, whatever token it brings. */
export async function refuseRevoked(queries: Queries, peerId: string): Promise<void> {
  if (!(await isRevoked(queries, peerId))) return;
  throw remoteError("passport_revoked", `${peerId} is revoked; join with a new key`);
}

/** After a token was refused. */
export async function whyNot(
  deps: Pick<TrustDeps, "database" | "authority">,
  hash: Uint8Array,
  joining: Joiner,
): Promise<ShoalError> {
  const token = await findJoinToken(deps.database, hash);
  const judgment = judgeJoin(token, joining, deps.authority.nowMs());
  // Somebody else may have taken the last use, or given one back, in between.
  const late = new ShoalError("join_token_used_up", "The join token was just used up.", {
    blame: "remote",
  });
  const { code, message } = judgment.type === "refused" ? judgment.error : late;
  return new ShoalError(code, message, {
    blame: "remote",
    hint: "Make a new one: shoal token create-join.",
  });
}
