import { describe, expect, test } from "vitest";
import { digest, toHex } from "../digest.ts";
import { encodeBase64Url } from "./base64.ts";
import { type PrivateJwk, keyIdOf, signingKeyOf, verifySignature } from "./keys.ts";

/** RFC 8032, section 7.1. */
const vectors = [
  {
    name: "test 1, an empty message",
    secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    public: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    name: "test 2, one byte",
    secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    public: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature:
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
];

function jwkOf(vector: { readonly secret: string; readonly public: string }): PrivateJwk {
  const x = encodeBase64Url(Uint8Array.fromHex(vector.public));
  return { kty: "OKP", crv: "Ed25519", x, d: encodeBase64Url(Uint8Array.fromHex(vector.secret)) };
}

describe("Ed25519 keys", () => {
  test.for(vectors)("sign and verify as RFC 8032 says: $name", (vector) => {
    const key = signingKeyOf(jwkOf(vector));
    const message = Uint8Array.fromHex(vector.message);
    expect(toHex(key.publicKey)).toBe(vector.public);
    expect(toHex(key.sign(message))).toBe(vector.signature);
    expect(verifySignature(key.publicKey, message, Uint8Array.fromHex(vector.signature))).toBe(
      true,
    );
  });

  test("verify refuses every changed bit of a signature, other messages and other keys", () => {
    const [first, second] = vectors.map((vector) => signingKeyOf(jwkOf(vector)));
    if (first === undefined || second === undefined) throw new Error("two vectors are above");
    const message = Uint8Array.of(1, 2, 3);
    const signature = first.sign(message);
    for (let bit = 0; bit < 512; bit += 7) {
      const forged = Uint8Array.from(signature);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifySignature(first.publicKey, message, forged)).toBe(false);
    }
    expect(verifySignature(first.publicKey, Uint8Array.of(1, 2), signature)).toBe(false);
    expect(verifySignature(second.publicKey, message, signature)).toBe(false);
  });

  test("verify answers no, and doesn't throw, for keys and signatures of a wrong size", () => {
    const key = signingKeyOf(jwkOf(vectors[0] as (typeof vectors)[number]));
    const signature = key.sign(new Uint8Array());
    expect(verifySignature(key.publicKey.subarray(1), new Uint8Array(), signature)).toBe(false);
    expect(verifySignature(key.publicKey, new Uint8Array(), signature.subarray(1))).toBe(false);
    expect(verifySignature(new Uint8Array(32).fill(255), new Uint8Array(), signature)).toBe(false);
  });

  test("a key whose halves don't belong together, or that is none, is refused", () => {
    const jwks = vectors.map(jwkOf);
    const mixed = { ...(jwks[0] as PrivateJwk), x: (jwks[1] as PrivateJwk).x };
    const short = { ...(jwks[0] as PrivateJwk), d: "AAAA" };
    for (const jwk of [mixed, short]) {
      expect(() => signingKeyOf(jwk)).toThrow(expect.objectContaining({ code: "key_invalid" }));
    }
  });

  test("are named by the first half of the hash of the public key", () => {
    const publicKey = Uint8Array.fromHex((vectors[0] as (typeof vectors)[number]).public);
    expect(keyIdOf(publicKey)).toBe(toHex(digest(publicKey)).slice(0, 32));
  });
});
