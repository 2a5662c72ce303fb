// The trust document: which keys may sign what, and until when, under the offline root key
// (PROTOCOL.md 3.2). A pure function of its inputs; keeping the newest known one is for the caller.
import { remoteError } from "@shoal/core/error";
import { trustKeysMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { type Envelope, openEnvelope, signEnvelope } from "@shoal/core/trust/dsse";
import { type SigningKey, keyIdOf } from "@shoal/core/trust/keys";
import { instant, name } from "@shoal/api/names";
import { z } from "zod";
import { decodePayload, encodePayload } from "./payload.ts";

export const trustDocumentType = "application/vnd.shoal.trust.v1+json";

const keyId = z.string().regex(/^[0-9a-f]{32}$/);
const names = z.union([z.literal("*"), z.array(name).min(1).max(trustKeysMax).readonly()]);
const rules = <Scope extends string>(scope: Scope) =>
  z
    .array(
      z.strictObject({ key: keyId, [scope]: names } as Record<Scope, typeof names> & {
        key: typeof keyId;
      }),
    )
    .max(trustKeysMax)
    .readonly();

/** Every key that a rule names is listed once under `keys`; an id is the hash of its key. */
export const trustDocument = z
  .strictObject({
    format: z.literal("shoal.trust/v1"),
    /** Rises with every change. */
    version: z.int().positive(),
    issuedAt: instant,
    /** From then on the document says nothing. */
    expires: instant,
    keys: z
      .array(
        z.strictObject({
          id: keyId,
          /** Raw Ed25519 public key, base64url. */
          publicKey: z.base64url().length(43),
          /** From then on its signatures are refused. */
          notAfter: instant,
        }),
      )
      .max(trustKeysMax)
      .readonly(),
    /** Builders. */
    statements: rules("projects"),
    goals: rules("environments"),
    passports: rules("regions"),
    grants: rules("regions"),
  })
  .superRefine((document, context) => {
    const ids = new Set<string>();
    for (const { id, publicKey } of document.keys) {
      if (ids.has(id)) context.addIssue(`key ${id} is listed twice`);
      if (idOf(publicKey) !== id) context.addIssue(`key ${id} isn't the id of its public key`);
      ids.add(id);
    }
    const { statements, goals, passports, grants } = document;
    for (const { key } of [...statements, ...goals, ...passports, ...grants]) {
      if (!ids.has(key)) context.addIssue(`key ${key} may sign something and isn't listed`);
    }
  });

export type TrustDocument = z.output<typeof trustDocument>;

export interface TrustCheck {
  readonly nowMs: number;
  /** The version known already; 0 when none is. */
  readonly knownVersion: number;
}

/** Signs a document with the root key, or with the old and the new one while they overlap. */
export function signTrustDocument(
  rootKeys: SigningKey | readonly SigningKey[],
  document: TrustDocument,
): Envelope {
  const checked = trustDocument.parse(document);
  const keys = "sign" in rootKeys ? [rootKeys] : rootKeys;
  return signEnvelope(trustDocumentType, encodePayload(checked), keys);
}

/**
 * Verifies a trust document against the pinned root key.
 * @throws ShoalError of `openEnvelope`, `trust_document_invalid`, `trust_document_expired`, or
 *   `trust_document_rolled_back` when it is older than the one known.
 */
export function readTrustDocument(
  envelope: Envelope,
  rootPublicKey: Uint8Array,
  { nowMs, knownVersion }: TrustCheck,
): TrustDocument {
  const rootId = keyIdOf(rootPublicKey);
  const opened = openEnvelope(envelope, trustDocumentType, (id) =>
    id === rootId ? { publicKey: rootPublicKey } : undefined,
  );
  const document = decodePayload(opened.payload, trustDocument, "trust_document_invalid");
  if (document.version < knownVersion) {
    const message = `trust document ${document.version} is older than ${knownVersion}, which is known`;
    throw remoteError("trust_document_rolled_back", message);
  }
  if (nowMs >= Date.parse(document.expires)) {
    throw remoteError("trust_document_expired", `trust document expired at ${document.expires}`);
  }
  return document;
}

/** A document's entry for a key. */
export function trustKeyOf(publicKey: Uint8Array, notAfter: string): TrustDocument["keys"][number] {
  const text = publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
  return { id: keyIdOf(publicKey), publicKey: text, notAfter };
}

function idOf(publicKey: string): string | undefined {
  try {
    return keyIdOf(decodeBase64Url(publicKey));
  } catch {
    return undefined; // Never equal to an id.
  }
}
