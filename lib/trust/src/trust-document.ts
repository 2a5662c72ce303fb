// The trust document: which keys may sign what, and until when, under the offline root key
// (PROTOCOL.md 3.2). One document, judged by the roots that its reader believes in; how a reader comes
// from one document to the next is in trust-chain.ts, keeping the newest one in trust-keeper.ts.
import { remoteError } from "@shoal/core/error";
import { trustKeysMax, trustRootsMax } from "@shoal/core/limits";
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
    /** Raw root keys, base64url, that sign the documents after this one. Absent: as before. */
    roots: z.array(z.base64url().length(43)).min(1).max(trustRootsMax).readonly().optional(),
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
 * The document in an envelope that one of these roots signed. A document that names new roots has to be
 * signed by one of those too: nobody hands the fleet to a key that nobody holds.
 * @throws ShoalError of `openEnvelope`, `trust_document_invalid` or `trust_root_unproven`.
 */
export function openTrustDocument(envelope: Envelope, roots: readonly Uint8Array[]): TrustDocument {
  const open = (keys: readonly Uint8Array[]): Uint8Array => {
    const byId = new Map(keys.map((publicKey) => [keyIdOf(publicKey), { publicKey }]));
    return openEnvelope(envelope, trustDocumentType, (id) => byId.get(id)).payload;
  };
  const document = decodePayload(open(roots), trustDocument, "trust_document_invalid");
  if (document.roots === undefined) return document;
  try {
    open(document.roots.map(decodeBase64Url));
  } catch {
    const message = "none of the roots that the trust document names has signed it";
    throw remoteError("trust_root_unproven", message);
  }
  return document;
}

/** Throws `trust_document_expired`. */
export function requireUnexpired({ expires }: TrustDocument, nowMs: number): void {
  if (nowMs < Date.parse(expires)) return;
  throw remoteError("trust_document_expired", `trust document expired at ${expires}`);
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
