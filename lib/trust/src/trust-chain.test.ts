import type { Envelope } from "@shoal/core/trust/dsse";
import { describe, expect, test } from "vitest";
import { createKey, type KeyFile } from "./key-file.ts";
import { codeOf, createSigners, publicText, trustOf } from "./signers.test-kit.ts";
import { followChain, type TrustStart } from "./trust-chain.ts";
import { signTrustDocument, type TrustDocument } from "./trust-document.ts";

const [oldRoot, newRoot, thirdRoot, stranger] = [
  createKey(),
  createKey(),
  createKey(),
  createKey(),
];
const base = trustOf(createSigners());
const pinned: TrustStart = { pinned: oldRoot.publicKey };

const sign = (
  version: number,
  by: KeyFile | readonly KeyFile[],
  change: Partial<TrustDocument> = {},
): Envelope => signTrustDocument(by, { ...base, version, ...change });
const roots = (...keys: readonly KeyFile[]): Partial<TrustDocument> => ({
  roots: keys.map(publicText),
});

const first = sign(1, oldRoot);
const both = sign(2, [oldRoot, newRoot], roots(oldRoot, newRoot));
const onlyNew = sign(3, [oldRoot, newRoot], roots(newRoot));
const later = sign(4, newRoot);
const third = sign(5, [newRoot, thirdRoot], roots(thirdRoot));

describe("a reader who pins the first root", () => {
  test("follows the chain to the newest document, over two changes of the root", () => {
    const known = followChain(pinned, [first, both, onlyNew, later, third]);
    expect(known.document.version).toBe(5);
    expect(known.roots).toEqual([thirdRoot.publicKey]);
    // Only the documents that changed the roots are needed by the next one who starts there.
    expect(known.chain).toEqual([both, onlyNew, third]);
    expect(followChain(pinned, known.chain).document).toEqual(known.document);
  });

  test("takes documents of either root while they overlap", () => {
    const known = followChain(pinned, [first, both]);
    for (const key of [oldRoot, newRoot]) {
      expect(followChain(known, [sign(7, key)]).document.version).toBe(7);
    }
  });

  test("comes to the same in steps, as a process that runs does", () => {
    let known = followChain(pinned, [first]);
    for (const next of [both, onlyNew, later]) known = followChain(known, [next]);
    expect(known).toEqual(followChain(pinned, [first, both, onlyNew, later]));
  });
});

test("a reader who pins the new root passes over what the old one signed", () => {
  const known = followChain({ pinned: newRoot.publicKey }, [first, sign(2, oldRoot), later]);
  expect(known.document.version).toBe(4);
});

const known = followChain(pinned, [first, both, onlyNew, later]);
const refusals = [
  ["a document of the root that was given up", "signature_key_unknown", [sign(9, oldRoot)]],
  [
    "a stolen old root's own chain",
    "signature_key_unknown",
    [sign(8, [oldRoot, stranger], roots(stranger)), sign(9, stranger)],
  ],
  ["an older document", "trust_document_rolled_back", [onlyNew, sign(3, newRoot)]],
  [
    "another document of the known version",
    "trust_document_conflict",
    [sign(4, newRoot, { goals: [] })],
  ],
  ["a document of a stranger", "signature_key_unknown", [sign(9, stranger)]],
  [
    "a root that didn't sign with the old one",
    "trust_root_unproven",
    [sign(9, newRoot, roots(stranger))],
  ],
  ["no document at all", "trust_document_invalid", []],
  [
    "a forged document behind a good one",
    "signature_invalid",
    [later, { ...sign(9, newRoot), payload: later.payload }],
  ],
] as const;
test.for(refusals)("%s is refused with %s", async ([, code, chain]) => {
  expect(await codeOf(() => followChain(known, chain))).toBe(code);
});

test("the document that is known already is no news", () => {
  expect(followChain(known, known.chain)).toEqual(known);
});
