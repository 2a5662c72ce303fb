// Revocations (PROTOCOL.md 3.8): a signed, versioned list of peers whose passports, and whose delegated
// passports, are refused from now on. A revocation is never lifted: who comes back comes with a new key.
// So lists are added up, and a control plane that was restored from a backup brings nobody back.
import { instant, peerId, type Envelope } from "@shoal/api/names";
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { epochMax, revokedPeersMax } from "@shoal/core/limits";
import { signEnvelope } from "@shoal/core/trust/dsse";
import type { SigningKey } from "@shoal/core/trust/keys";
import { z } from "zod";
import { decodePayload, encodePayload } from "./payload.ts";
import type { TrustDocument } from "./trust-document.ts";
import { openByTrustedKey, requireAllowed } from "./trusted-keys.ts";

export const revocationsType = "application/vnd.shoal.revocations.v1+json";

const revocations = z.strictObject({
  format: z.literal("shoal.revocations/v1"),
  /** Lists are ordered by epoch and version, as goals are. */
  epoch: z.int().positive().max(epochMax),
  version: z.int().positive(),
  issuedAt: instant,
  /** `until`: when all that the peer was ever given has ended by itself. */
  peers: z
    .array(z.strictObject({ peerId, until: instant }))
    .max(revokedPeersMax)
    .readonly(),
});

export type Revocations = z.output<typeof revocations>;

/** Signs a list with a key that issues passports. */
export function signRevocations(key: SigningKey, list: Revocations): Envelope {
  return signEnvelope(revocationsType, encodePayload(revocations.parse(list)), [key]);
}

/**
 * The list in an envelope, signed by a key that may issue passports in the reader's region.
 * @throws ShoalError of `openEnvelope` and `requireAllowed`, or `revocations_invalid`.
 */
export function verifyRevocations(
  envelope: Envelope,
  trust: TrustDocument,
  { nowMs, region }: { readonly nowMs: number; readonly region: string },
): Revocations {
  const opened = openByTrustedKey(envelope, revocationsType, trust);
  requireAllowed(trust, opened.keys, { use: "passports", region }, nowMs);
  return decodePayload(opened.payload, revocations, "revocations_invalid");
}

export interface RevocationList {
  readonly list: Revocations;
  readonly envelope: Envelope;
}

/** Throws `revocations_rolled_back` when a list is older than the newest one known. */
export function requireNewer(
  { epoch, version }: Revocations,
  known: Revocations | undefined,
): void {
  if (known === undefined) return;
  if (epoch > known.epoch || (epoch === known.epoch && version >= known.version)) return;
  const message = `revocations ${epoch}.${version} are older than ${known.epoch}.${known.version}, which are known`;
  throw remoteError("revocations_rolled_back", message);
}

/** The lists that are needed to know everybody who is revoked: the newest first, at most `listsMax`. */
export function neededLists(
  lists: readonly RevocationList[],
  nowMs: number,
  listsMax: number,
): readonly RevocationList[] {
  const newestFirst = lists.toSorted(
    (a, b) => b.list.epoch - a.list.epoch || b.list.version - a.list.version,
  );
  const named = new Set<PeerId>();
  const needed: RevocationList[] = [];
  for (const candidate of newestFirst) {
    const alive = candidate.list.peers.filter(({ until }) => Date.parse(until) > nowMs);
    if (needed.length > 0 && alive.every(({ peerId: id }) => named.has(id))) continue;
    if (needed.length >= listsMax) break;
    needed.push(candidate);
    for (const { peerId: id } of alive) named.add(id);
  }
  return needed;
}
