import { signEnvelope } from "@shoal/core/trust/dsse";
import { describe, expect, test } from "vitest";
import { encodePayload } from "./payload.ts";
import { codeOf, createSigners, later, publicText, trustOf } from "./signers.test-kit.ts";
import {
  type TrustDocument,
  openTrustDocument,
  signTrustDocument,
  trustDocumentType,
} from "./trust-document.ts";

const signers = createSigners();
const { root, builder, stranger } = signers;
const document = trustOf(signers);

/** Signed by the root although no honest root would. */
function signedAnyway(change: object) {
  return signEnvelope(trustDocumentType, encodePayload({ ...document, ...change }), [root]);
}

describe("trust document", () => {
  test("signed by the pinned root is read as it was written", () => {
    const envelope = signTrustDocument(root, document);
    expect(openTrustDocument(envelope, [root.publicKey])).toEqual(document);
    expect(JSON.parse(JSON.stringify(envelope))).toEqual(envelope);
  });

  test("signed by the old and the new root is read under either pin", () => {
    const envelope = signTrustDocument([root, stranger], document);
    expect(openTrustDocument(envelope, [root.publicKey]).version).toBe(3);
    expect(openTrustDocument(envelope, [stranger.publicKey]).version).toBe(3);
  });

  const [firstKey] = document.keys;
  const good = signTrustDocument(root, document);
  const refusals = [
    ["signed by a stranger", "signature_key_unknown", signTrustDocument(stranger, document)],
    [
      "signed by a key that it lists itself",
      "signature_key_unknown",
      signTrustDocument(builder, document),
    ],
    [
      "with a forged signature",
      "signature_invalid",
      { ...good, payload: signTrustDocument(root, { ...document, version: 9 }).payload },
    ],
    [
      "of another type",
      "envelope_invalid",
      signEnvelope("application/json", encodePayload(document), [root]),
    ],
    [
      "that names a root which hasn't signed it",
      "trust_root_unproven",
      signTrustDocument(root, { ...document, roots: [publicText(stranger)] }),
    ],
    [
      "that its own new root alone has signed",
      "signature_key_unknown",
      signTrustDocument(stranger, { ...document, roots: [publicText(stranger)] }),
    ],
    ["that names no root", "trust_document_invalid", signedAnyway({ roots: [] })],
    [
      "with a root that isn't 32 bytes",
      "trust_document_invalid",
      signedAnyway({ roots: ["AAAA"] }),
    ],
    [
      "that isn't JSON",
      "trust_document_invalid",
      signEnvelope(trustDocumentType, Uint8Array.of(0x7b), [root]),
    ],
    [
      "that isn't UTF-8",
      "trust_document_invalid",
      signEnvelope(trustDocumentType, Uint8Array.of(0x22, 0xff, 0x22), [root]),
    ],
    [
      "with a byte order mark",
      "trust_document_invalid",
      signEnvelope(trustDocumentType, Uint8Array.of(0xef, 0xbb, 0xbf, ...encodePayload(document)), [
        root,
      ]),
    ],
    ["with an unknown key", "trust_document_invalid", signedAnyway({ more: true })],
    ["of another format", "trust_document_invalid", signedAnyway({ format: "shoal.trust/v2" })],
    ["of version 0", "trust_document_invalid", signedAnyway({ version: 0 })],
    [
      "that lists a key twice",
      "trust_document_invalid",
      signedAnyway({ keys: [...document.keys, firstKey] }),
    ],
    [
      "whose key ids don't fit their keys",
      "trust_document_invalid",
      signedAnyway({ keys: [{ ...firstKey, id: stranger.keyId }, ...document.keys.slice(1)] }),
    ],
    [
      "with rules for a key that it doesn't list",
      "trust_document_invalid",
      signedAnyway({ goals: [{ key: stranger.keyId, environments: "*" }] }),
    ],
    [
      "with a key that isn't 32 bytes",
      "trust_document_invalid",
      signedAnyway({ keys: [{ ...firstKey, publicKey: "AAAA" }, ...document.keys.slice(1)] }),
    ],
    ["with an expiry that is no time", "trust_document_invalid", signedAnyway({ expires: "soon" })],
    [
      "with an empty list of projects",
      "trust_document_invalid",
      signedAnyway({ statements: [{ key: builder.keyId, projects: [] }] }),
    ],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, envelope]) => {
    expect(await codeOf(() => openTrustDocument(envelope, [root.publicKey]))).toBe(code);
  });

  test("isn't signed when every reader would refuse it", () => {
    const broken: TrustDocument = { ...document, grants: [{ key: stranger.keyId, regions: "*" }] };
    expect(() => signTrustDocument(root, broken)).toThrow(/isn't listed/);
    expect(later > document.issuedAt).toBe(true);
  });
});
