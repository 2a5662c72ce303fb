// Passports (PROTOCOL.md 3.5): who a peer id is. A passport proves nothing by itself: it is believed
// only over a connection that proved the key behind the peer id. The control plane issues them, and
// seeders do under a delegation, which then lies inside of the passport.
import { hostId, labels, name, peerId as peerIdSchema } from "@shoal/api/names";
import { remoteError } from "@shoal/core/error";
import type { HostId, PeerId } from "@shoal/core/ids";
import { tokenBytesMax } from "@shoal/core/limits";
import { publicKeyOf } from "@shoal/core/peer-id";
import { keyIdOf } from "@shoal/core/trust/keys";
import { z } from "zod";
import { verifyDelegation, type VerifiedDelegation } from "./delegation.ts";
import type { KeyFile } from "./key-file.ts";
import { checkClaims } from "./payload.ts";
import { openToken, readClaims, signToken } from "./token.ts";
import type { TrustDocument } from "./trust-document.ts";
import { findTrustedKey, requireAllowed, type TrustedKey } from "./trusted-keys.ts";

/** What the bearer is. A builder's passport opens no link and shows no goals: it is for the control plane. */
export type PassportRole = "host" | "seeder" | "builder";

export interface PassportFacts {
  readonly peerId: PeerId;
  readonly host: HostId;
  readonly region: string;
  readonly zone: string;
  readonly role: PassportRole;
  readonly labels: Readonly<Record<string, string>>;
  /** The one environment whose goals the bearer may see; null for all, as seeders have it. */
  readonly environment: string | null;
}

export interface Passport extends PassportFacts {
  /** Its own end, or that of what it stands on (delegation, key) if that comes first. */
  readonly expiresAtMs: number;
  /** The seeder that issued it under a delegation; null when the control plane did. */
  readonly issuer: PeerId | null;
}

const claims = z.object({
  sub: peerIdSchema,
  host: hostId,
  region: name,
  zone: name,
  role: z.enum(["host", "seeder", "builder"]),
  labels,
  env: name.optional(),
  del: z.string().max(tokenBytesMax).optional(),
});

/**
 * Issues a passport that lasts `ttlMs` from `nowMs`: with a key of the trust document, or with a
 * seeder's own and its delegation.
 */
export async function issuePassport(
  key: KeyFile,
  facts: PassportFacts,
  ttlMs: number,
  nowMs: number,
  delegation?: string,
): Promise<string> {
  const { peerId, host, region, zone, role, labels, environment } = facts;
  const env = environment === null ? {} : { env: environment };
  const del = delegation === undefined ? {} : { del: delegation };
  return signToken(
    key,
    "passport",
    { sub: peerId, host, region, zone, role, labels: { ...labels }, ...env, ...del },
    { nowMs, ttlMs },
  );
}

export interface PassportCheck {
  readonly nowMs: number;
  /** Whose key the connection proved; null where the passport's own key is proved right afterwards. */
  readonly peerId: PeerId | null;
  /** Who may come to where it is shown. */
  readonly roles: readonly PassportRole[];
  readonly isRevoked: (peerId: PeerId) => boolean;
}

/** Members of a swarm. */
export const swarmRoles: readonly PassportRole[] = ["host", "seeder"];

/**
 * Verifies a passport of the peer that a connection proved.
 * @throws ShoalError `passport_invalid`, `passport_expired`, `passport_too_early`, `passport_peer_wrong`,
 *   `passport_role_wrong`, `passport_revoked`, `delegation_exceeded`, `signature_invalid`, `signature_key_unknown`, of
 *   `verifyDelegation`, or of `requireAllowed`.
 */
export async function verifyPassport(
  passport: string,
  trust: TrustDocument,
  { nowMs, peerId, roles, isRevoked }: PassportCheck,
): Promise<Passport> {
  const lookup = (
    id: string,
    unverified: Readonly<Record<string, unknown>>,
  ): Promise<Issuer | undefined> => findIssuer(trust, nowMs, id, unverified["del"]);
  const opened = await openToken(passport, "passport", lookup, nowMs);
  const {
    sub,
    env,
    del: _delegation,
    ...facts
  } = checkClaims(opened.claims, claims, "passport_invalid");
  const { key } = opened;
  if (key.type === "key")
    requireAllowed(trust, [key], { use: "passports", region: facts.region }, nowMs);
  else requireDelegated(key.delegation, facts);
  if (peerId !== null && sub !== peerId) {
    throw remoteError("passport_peer_wrong", `the passport is of ${sub}, not of ${peerId}`);
  }
  if (!roles.includes(facts.role)) {
    throw remoteError("passport_role_wrong", `a ${facts.role} has no business here`);
  }
  const issuer = key.type === "key" ? null : key.delegation.peerId;
  for (const revoked of [sub, issuer]) {
    if (revoked === null || !isRevoked(revoked)) continue;
    throw remoteError("passport_revoked", `${revoked} is revoked`);
  }
  const endMs = key.type === "key" ? key.notAfterMs : key.delegation.expiresAtMs;
  const expiresAtMs = Math.min(opened.expiresAtMs, endMs);
  return { ...facts, peerId: sub, environment: env ?? null, issuer, expiresAtMs };
}

/**
 * What a passport of one's own says, from one's own disk, where it was verified before: nothing is checked
 * but its form, so it's no proof of anything. Throws `passport_invalid`.
 */
export function readOwnPassport(passport: string): PassportFacts {
  const facts = checkClaims(readClaims(passport, "passport"), claims, "passport_invalid");
  const { sub: peerId, env: environment = null, del: _delegation, ...rest } = facts;
  return { ...rest, peerId, environment };
}

type Issuer =
  | (TrustedKey & { readonly type: "key" })
  | {
      readonly type: "delegate";
      readonly publicKey: Uint8Array;
      readonly delegation: VerifiedDelegation;
    };

/** A key of the trust document, or else the one that the delegation in the passport is for. */
async function findIssuer(
  trust: TrustDocument,
  nowMs: number,
  keyId: string,
  delegation: unknown,
): Promise<Issuer | undefined> {
  const key = findTrustedKey(trust, keyId);
  if (key !== undefined) return { type: "key", ...key };
  if (typeof delegation !== "string") return undefined;
  const verified = await verifyDelegation(delegation, trust, nowMs);
  const publicKey = publicKeyOf(verified.peerId);
  if (keyIdOf(publicKey) !== keyId) return undefined;
  return { type: "delegate", publicKey, delegation: verified };
}

/** A seeder lets hosts into its own region and makes no other seeders. */
function requireDelegated(
  delegation: VerifiedDelegation,
  { region, role }: Pick<PassportFacts, "region" | "role">,
): void {
  if (region === delegation.region && role === "host") return;
  throw remoteError(
    "delegation_exceeded",
    `${delegation.peerId} may let hosts into ${delegation.region}, not a ${role} into ${region}`,
  );
}
