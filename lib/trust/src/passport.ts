// Passports (PROTOCOL.md 3.5): who a peer id is. A passport proves nothing by itself: it is believed
// only over a connection that proved the key behind the peer id.
import { hostId, labels, name, peerId as peerIdSchema } from "@shoal/api/names";
import { remoteError } from "@shoal/core/error";
import type { HostId, PeerId } from "@shoal/core/ids";
import { z } from "zod";
import type { KeyFile } from "./key-file.ts";
import { checkClaims } from "./payload.ts";
import { openToken, signToken } from "./token.ts";
import type { TrustDocument } from "./trust-document.ts";
import { requireAllowed } from "./trusted-keys.ts";

export interface PassportFacts {
  readonly peerId: PeerId;
  readonly host: HostId;
  readonly region: string;
  readonly zone: string;
  readonly role: "host" | "seeder";
  readonly labels: Readonly<Record<string, string>>;
  /** The one environment whose goals the bearer may see; null for all, as seeders have it. */
  readonly environment: string | null;
}

export interface Passport extends PassportFacts {
  readonly expiresAtMs: number;
}

const claims = z.object({
  sub: peerIdSchema,
  host: hostId,
  region: name,
  zone: name,
  role: z.enum(["host", "seeder"]),
  labels,
  env: name.optional(),
});

/** Issues a passport that lasts `ttlMs` from `nowMs`. */
export async function issuePassport(
  key: KeyFile,
  facts: PassportFacts,
  ttlMs: number,
  nowMs: number,
): Promise<string> {
  const { peerId, host, region, zone, role, labels, environment } = facts;
  const env = environment === null ? {} : { env: environment };
  return signToken(
    key,
    "passport",
    { sub: peerId, host, region, zone, role, labels: { ...labels }, ...env },
    { nowMs, ttlMs },
  );
}

/**
 * Verifies a passport of the peer that a connection proved.
 * @throws ShoalError `passport_invalid`, `passport_expired`, `passport_too_early`,
 *   `passport_peer_wrong`, `signature_invalid`, `signature_key_unknown`, or of `requireAllowed`.
 */
export async function verifyPassport(
  passport: string,
  trust: TrustDocument,
  { nowMs, peerId }: { readonly nowMs: number; readonly peerId: PeerId },
): Promise<Passport> {
  const opened = await openToken(passport, "passport", trust, nowMs);
  const { sub, env, ...facts } = checkClaims(opened.claims, claims, "passport_invalid");
  requireAllowed(trust, [opened.key], { use: "passports", region: facts.region }, nowMs);
  if (sub !== peerId) {
    throw remoteError("passport_peer_wrong", `the passport is of ${sub}, not of ${peerId}`);
  }
  return { ...facts, peerId: sub, environment: env ?? null, expiresAtMs: opened.expiresAtMs };
}
