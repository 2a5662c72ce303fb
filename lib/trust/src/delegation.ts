// Delegations (PROTOCOL.md 3.7): leave for one seeder to issue passports to hosts of its region until a
// date, so that hosts join and renew while the control plane is down. The delegate's key is its own: who
// revokes the seeder ends everything that it has issued.
import { name, peerId as peerIdSchema } from "@shoal/api/names";
import type { PeerId } from "@shoal/core/ids";
import { z } from "zod";
import type { KeyFile } from "./key-file.ts";
import { checkClaims } from "./payload.ts";
import { openToken, signToken } from "./token.ts";
import type { TrustDocument } from "./trust-document.ts";
import { findTrustedKey, requireAllowed } from "./trusted-keys.ts";

export interface Delegation {
  /** The seeder that may issue. */
  readonly peerId: PeerId;
  readonly region: string;
}

export interface VerifiedDelegation extends Delegation {
  /** Its own end, or that of the key that signed it if that comes first. */
  readonly expiresAtMs: number;
}

const claims = z.object({ sub: peerIdSchema, region: name });

/** Issues a delegation that lasts `ttlMs` from `nowMs`. */
export async function issueDelegation(
  key: KeyFile,
  { peerId, region }: Delegation,
  ttlMs: number,
  nowMs: number,
): Promise<string> {
  return signToken(key, "delegation", { sub: peerId, region }, { nowMs, ttlMs });
}

/**
 * Verifies a delegation by the keys that the trust document allows to issue passports.
 * @throws ShoalError `delegation_invalid`, `delegation_expired`, `delegation_too_early`,
 *   `signature_invalid`, `signature_key_unknown`, or of `requireAllowed`.
 */
export async function verifyDelegation(
  delegation: string,
  trust: TrustDocument,
  nowMs: number,
): Promise<VerifiedDelegation> {
  const lookup = (id: string): ReturnType<typeof findTrustedKey> => findTrustedKey(trust, id);
  const opened = await openToken(delegation, "delegation", lookup, nowMs);
  const { sub, region } = checkClaims(opened.claims, claims, "delegation_invalid");
  requireAllowed(trust, [opened.key], { use: "passports", region }, nowMs);
  const expiresAtMs = Math.min(opened.expiresAtMs, opened.key.notAfterMs);
  return { peerId: sub, region, expiresAtMs };
}
