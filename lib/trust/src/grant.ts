// Grants (PROTOCOL.md 3.6): short-lived leave to make one kind of call at the seeders of some regions.
import { count, name, rowId } from "@shoal/api/names";
import { fence } from "@shoal/api/builder";
import { remoteError } from "@shoal/core/error";
import { z } from "zod";
import type { KeyFile } from "./key-file.ts";
import { checkClaims } from "./payload.ts";
import { openToken, signToken } from "./token.ts";
import type { TrustDocument } from "./trust-document.ts";
import { findTrustedKey, requireAllowed } from "./trusted-keys.ts";

export type GrantScope = "ingest" | "pull" | "inspect";

/** What a grant of each scope carries beside its regions. */
export type GrantFacts =
  | {
      readonly scope: "ingest";
      readonly regions: readonly string[];
      readonly project: string;
      readonly build: number;
      readonly attempt: number;
      readonly fence: string;
    }
  | { readonly scope: "pull"; readonly regions: readonly string[] }
  | { readonly scope: "inspect"; readonly regions: readonly string[] };

export type Grant = GrantFacts & { readonly expiresAtMs: number };

/** One region may be written as a bare text, as JWT allows. */
const aud = z.union([name.transform((region) => [region]), z.array(name).min(1).max(256)]);
const claims = z.discriminatedUnion("scope", [
  z.object({ scope: z.literal("ingest"), aud, project: name, build: rowId, attempt: count, fence }),
  z.object({ scope: z.literal("pull"), aud }),
  z.object({ scope: z.literal("inspect"), aud }),
]);

/** Issues a grant that lasts `ttlMs` from `nowMs`. */
export async function issueGrant(
  key: KeyFile,
  facts: GrantFacts,
  ttlMs: number,
  nowMs: number,
): Promise<string> {
  const { regions, ...rest } = facts;
  return signToken(key, "grant", { ...rest, aud: [...regions] }, { nowMs, ttlMs });
}

/**
 * Verifies that a grant allows this kind of call in this region.
 * @throws ShoalError `grant_invalid`, `grant_expired`, `grant_too_early`, `grant_region_wrong`,
 *   `grant_scope_wrong`, `signature_invalid`, `signature_key_unknown`, or of `requireAllowed`.
 */
export async function verifyGrant<Scope extends GrantScope>(
  grant: string,
  trust: TrustDocument,
  expected: { readonly nowMs: number; readonly region: string; readonly scope: Scope },
): Promise<Extract<Grant, { readonly scope: NoInfer<Scope> }>>;
export async function verifyGrant(
  grant: string,
  trust: TrustDocument,
  expected: { readonly nowMs: number; readonly region: string; readonly scope: GrantScope },
): Promise<Grant> {
  const { nowMs, region, scope } = expected;
  const opened = await openToken(grant, "grant", (id) => findTrustedKey(trust, id), nowMs);
  const { aud: regions, ...facts } = checkClaims(opened.claims, claims, "grant_invalid");
  requireAllowed(trust, [opened.key], { use: "grants", region }, nowMs);
  if (!regions.includes(region)) {
    throw remoteError("grant_region_wrong", `the grant isn't for region ${region}`);
  }
  if (facts.scope !== scope) {
    throw remoteError("grant_scope_wrong", `the grant is for ${facts.scope}, not for ${scope}`);
  }
  return { ...facts, regions, expiresAtMs: opened.expiresAtMs };
}
