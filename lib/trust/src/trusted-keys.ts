// Which key of the trust document may sign what, asked in one place by every kind of document.
import { remoteError } from "@shoal/core/error";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { type Envelope, type OpenedEnvelope, openEnvelope } from "@shoal/core/trust/dsse";
import { requireUnexpired, type TrustDocument } from "./trust-document.ts";

export interface TrustedKey {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  readonly notAfterMs: number;
}

/** What a signature is to stand for. */
export type SignatureUse =
  | { readonly use: "statements"; readonly project: string }
  | { readonly use: "goals"; readonly environment: string }
  | { readonly use: "passports"; readonly region: string }
  | { readonly use: "grants"; readonly region: string };

/** The key of this id in the document, expired or not, whatever it may sign. */
export function findTrustedKey(trust: TrustDocument, keyId: string): TrustedKey | undefined {
  const key = trust.keys.find(({ id }) => id === keyId);
  if (key === undefined) return undefined;
  const { id, publicKey, notAfter } = key;
  return { keyId: id, publicKey: decodeBase64Url(publicKey), notAfterMs: Date.parse(notAfter) };
}

/** Opens an envelope signed by any key of the document; `requireAllowed` must follow. */
export function openByTrustedKey(
  envelope: Envelope,
  payloadType: string,
  trust: TrustDocument,
): OpenedEnvelope<TrustedKey> {
  return openEnvelope(envelope, payloadType, (keyId) => findTrustedKey(trust, keyId));
}

/**
 * Passes when one of the keys that signed may sign this and hasn't expired.
 * @throws ShoalError `trust_document_expired`, `key_not_allowed` or `key_expired`.
 */
export function requireAllowed(
  trust: TrustDocument,
  keys: readonly TrustedKey[],
  use: SignatureUse,
  nowMs: number,
): void {
  requireUnexpired(trust, nowMs);
  const allowed = keys.filter(({ keyId }) => isAllowed(trust, keyId, use));
  if (allowed.length === 0) {
    throw remoteError("key_not_allowed", `the key that signed may not sign ${describeUse(use)}`, {
      keys: keys.map(({ keyId }) => keyId),
    });
  }
  if (!allowed.some(({ notAfterMs }) => nowMs < notAfterMs)) {
    throw remoteError("key_expired", "the key that signed has expired", {
      keys: allowed.map(({ keyId }) => keyId),
    });
  }
}

function isAllowed(trust: TrustDocument, keyId: string, use: SignatureUse): boolean {
  switch (use.use) {
    case "statements":
      return trust.statements.some((rule) => rule.key === keyId && has(rule.projects, use.project));
    case "goals":
      return trust.goals.some(
        (rule) => rule.key === keyId && has(rule.environments, use.environment),
      );
    case "passports":
      return trust.passports.some((rule) => rule.key === keyId && has(rule.regions, use.region));
    case "grants":
      return trust.grants.some((rule) => rule.key === keyId && has(rule.regions, use.region));
  }
}

function has(names: "*" | readonly string[], name: string): boolean {
  return names === "*" || names.includes(name);
}

function describeUse(use: SignatureUse): string {
  switch (use.use) {
    case "statements":
      return `statements of project ${use.project}`;
    case "goals":
      return `goals of environment ${use.environment}`;
    case "passports":
    case "grants":
      return `${use.use} of region ${use.region}`;
  }
}
