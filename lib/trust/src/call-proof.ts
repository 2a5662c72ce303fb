// How builders and seeders call the control plane (PROTOCOL.md 3.9): their passport inside of a token that
// their own key has signed a moment ago. What travels over the wire is of use for minutes, and only there.
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { callProofMs, clockSkewMs, tokenBytesMax } from "@shoal/core/limits";
import { publicKeyOf } from "@shoal/core/peer-id";
import { keyIdOf } from "@shoal/core/trust/keys";
import { z } from "zod";
import type { KeyFile } from "./key-file.ts";
import { type Passport, verifyPassport } from "./passport.ts";
import { checkClaims } from "./payload.ts";
import { openToken, signToken } from "./token.ts";
import type { TrustDocument } from "./trust-document.ts";

const audience = "control-plane";
const claims = z.object({ aud: z.literal(audience), passport: z.string().max(tokenBytesMax) });

/** A bearer token for calls of the passport's owner; good for `callProofMs`. */
export function issueCallProof(key: KeyFile, passport: string, nowMs: number): string {
  return signToken(key, "call", { aud: audience, passport }, { nowMs, ttlMs: callProofMs });
}

export interface VerifiedCall {
  readonly passport: Passport;
  readonly expiresAtMs: number;
}

/**
 * Who calls. A proof that claims to be good for longer than `callProofMs` is none.
 * @throws ShoalError `call_invalid`, `call_expired`, `call_too_early`, `signature_invalid`, or of
 *   `verifyPassport`.
 */
export async function verifyCallProof(
  proof: string,
  trust: TrustDocument,
  check: { readonly nowMs: number; readonly isRevoked: (peerId: PeerId) => boolean },
): Promise<VerifiedCall> {
  const lookup = async (
    keyId: string,
    unverified: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly publicKey: Uint8Array; readonly passport: Passport }> => {
    const { passport: shown } = checkClaims(unverified, claims, "call_invalid");
    const roles = ["builder", "seeder"] as const;
    const passport = await verifyPassport(shown, trust, { ...check, peerId: null, roles });
    const publicKey = publicKeyOf(passport.peerId);
    if (keyIdOf(publicKey) === keyId) return { publicKey, passport };
    throw remoteError("passport_peer_wrong", `the call isn't signed by ${passport.peerId}`);
  };
  const { key, expiresAtMs } = await openToken(proof, "call", lookup, check.nowMs);
  if (expiresAtMs > check.nowMs + callProofMs + clockSkewMs) {
    throw remoteError("call_invalid", "the call claims to be good for too long");
  }
  return {
    passport: key.passport,
    expiresAtMs: Math.min(expiresAtMs, key.passport.expiresAtMs),
  };
}
