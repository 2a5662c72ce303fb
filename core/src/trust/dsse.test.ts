import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { envelopeBytesMax } from "../limits.ts";
import { encodeBase64, encodeBase64Url } from "./base64.ts";
import { type Envelope, openEnvelope, preAuthEncoding, signEnvelope } from "./dsse.ts";
import { type SigningKey, signingKeyOf, verifySignature } from "./keys.ts";

const encoder = new TextEncoder();
const type = "application/vnd.shoal.test+json";
const payload = encoder.encode('{"a":1}');

const one = key(
  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
);
const two = key(
  "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
);

function key(secret: string, publicKey: string): SigningKey {
  const [d, x] = [secret, publicKey].map((hex) => encodeBase64Url(Uint8Array.fromHex(hex)));
  return signingKeyOf({ kty: "OKP", crv: "Ed25519", x: x ?? "", d: d ?? "" });
}

function lookupOf(...keys: readonly SigningKey[]): (keyId: string) => SigningKey | undefined {
  return (keyId) => keys.find((candidate) => candidate.keyId === keyId);
}

describe("DSSE envelopes", () => {
  test("sign the pre-authentication encoding of the specification's example", () => {
    const encoded = preAuthEncoding("http://example.com/HelloWorld", encoder.encode("hello world"));
    const expected = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    expect(new TextDecoder().decode(encoded)).toBe(expected);
  });

  test("count bytes and not characters", () => {
    const encoded = preAuthEncoding("é", encoder.encode("€"));
    expect(new TextDecoder().decode(encoded)).toBe("DSSEv1 2 é 3 €");
  });

  test("have encodings that no two different pairs of type and payload share", () => {
    const text = fc.constantFrom("", " ", "1", "a", "a 1 ", "1 a", "DSSEv1 1 a ");
    fc.assert(
      fc.property(text, text, text, text, (typeA, bodyA, typeB, bodyB) => {
        const a = preAuthEncoding(typeA, encoder.encode(bodyA));
        const b = preAuthEncoding(typeB, encoder.encode(bodyB));
        expect(encodeBase64(a) === encodeBase64(b)).toBe(typeA === typeB && bodyA === bodyB);
      }),
    );
  });

  test("open to the bytes that were signed, naming every key that was verified", () => {
    const opened = openEnvelope(signEnvelope(type, payload, [one, two]), type, lookupOf(one, two));
    expect(opened.payload).toEqual(payload);
    expect(opened.keys).toEqual([one, two]);
  });

  test("open with one good signature of a known key beside unknown and bad ones", () => {
    const { signatures, ...rest } = signEnvelope(type, payload, [one, two]);
    const bad = { keyid: two.keyId, sig: encodeBase64(new Uint8Array(64)) };
    const envelope = {
      ...rest,
      signatures: [bad, { keyid: "00", sig: "" }, ...signatures.slice(0, 1)],
    };
    expect(openEnvelope(envelope, type, lookupOf(one, two)).keys).toEqual([one]);
  });

  const good = signEnvelope(type, payload, [one]);
  const [signature] = good.signatures;
  if (signature === undefined) throw new Error("it was signed");
  const otherType = signEnvelope("text/plain", payload, [one]);
  const refusals: readonly (readonly [string, string, unknown])[] = [
    ["another payload type", "envelope_invalid", otherType],
    [
      "a type that was changed after signing",
      "signature_invalid",
      { ...otherType, payloadType: type },
    ],
    [
      "a payload that was changed",
      "signature_invalid",
      { ...good, payload: encodeBase64(encoder.encode('{"a":2}')) },
    ],
    [
      "a signature by another key under this key's id",
      "signature_invalid",
      {
        ...good,
        signatures: [
          { keyid: one.keyId, sig: encodeBase64(two.sign(preAuthEncoding(type, payload))) },
        ],
      },
    ],
    [
      "a signature over the bare payload",
      "signature_invalid",
      { ...good, signatures: [{ keyid: one.keyId, sig: encodeBase64(one.sign(payload)) }] },
    ],
    [
      "a signature of a wrong length",
      "signature_invalid",
      { ...good, signatures: [{ keyid: one.keyId, sig: "AAAA" }] },
    ],
    ["an unknown key", "signature_key_unknown", signEnvelope(type, payload, [two])],
    ["no signature", "envelope_invalid", { ...good, signatures: [] }],
    [
      "too many signatures",
      "envelope_invalid",
      { ...good, signatures: Array.from({ length: 9 }, () => signature) },
    ],
    ["whitespace in base64", "envelope_invalid", { ...good, payload: `${good.payload} ` }],
    ["a payload that isn't text", "envelope_invalid", { ...good, payload: 7 }],
    ["a signature that is null", "envelope_invalid", { ...good, signatures: [null] }],
    ["signatures that aren't a list", "envelope_invalid", { ...good, signatures: "none" }],
    [
      "a payload over the limit",
      "envelope_invalid",
      { ...good, payload: "A".repeat(envelopeBytesMax + 4) },
    ],
  ];
  test.for(refusals)("refuse %s with %s", ([, code, envelope]) => {
    expect(() => openEnvelope(envelope as Envelope, type, lookupOf(one))).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test("aren't made larger than a reader would take", () => {
    expect(() => signEnvelope(type, new Uint8Array(envelopeBytesMax), [one])).toThrow(
      expect.objectContaining({ code: "envelope_invalid" }),
    );
  });

  test("carry signatures that anybody can verify by the key alone", () => {
    expect(
      verifySignature(
        one.publicKey,
        preAuthEncoding(type, payload),
        Uint8Array.fromBase64(signature.sig),
      ),
    ).toBe(true);
  });
});
