import { signEnvelope } from "@shoal/core/trust/dsse";
import { describe, expect, test } from "vitest";
import { encodePayload } from "./payload.ts";
import { codeOf, createSigners, later, nowMs, trustOf } from "./signers.test-kit.ts";
import {
  type TrustDocument,
  readTrustDocument,
  signTrustDocument,
  trustDocumentType,
} from "./trust-document.ts";

const signers = createSigners();
const { root, builder, stranger } = signers;
const document = trustOf(signers);
const known = { nowMs, knownVersion: 3 };

/** Signed by the root although no honest root would. */
function signedAnyway(change: object) {
  return signEnvelope(trustDocumentType, encodePayload({ ...document, ...change }), [root]);
}

describe("trust document", () => {
  test("signed by the pinned root is read as it was written", () => {
    const envelope = signTrustDocument(root, document);
    expect(readTrustDocument(envelope, root.publicKey, known)).toEqual(document);
    expect(JSON.parse(JSON.stringify(envelope))).toEqual(envelope);
  });

  test("signed by the old and the new root is read under either pin", () => {
    const envelope = signTrustDocument([root, stranger], document);
    expect(readTrustDocument(envelope, root.publicKey, known).version).toBe(3);
    expect(readTrustDocument(envelope, stranger.publicKey, known).version).toBe(3);
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
      "older than the one known",
      "trust_document_rolled_back",
      signTrustDocument(root, { ...document, version: 2 }),
    ],
    [
      "that has expired",
      "trust_document_expired",
      signTrustDocument(root, { ...document, expires: "2026-06-01T00:00:00Z" }),
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
    expect(await codeOf(() => readTrustDocument(envelope, root.publicKey, known))).toBe(code);
  });

  test("of the known version or a later one is accepted", () => {
    for (const version of [3, 4, 1000]) {
      const envelope = signTrustDocument(root, { ...document, version });
      expect(readTrustDocument(envelope, root.publicKey, known).version).toBe(version);
    }
  });

  test("isn't signed when every reader would refuse it", () => {
    const broken: TrustDocument = { ...document, grants: [{ key: stranger.keyId, regions: "*" }] };
    expect(() => signTrustDocument(root, broken)).toThrow(/isn't listed/);
    expect(later > document.issuedAt).toBe(true);
  });
});
