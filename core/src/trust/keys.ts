// Ed25519 keys: signing, verifying, and the ids by which documents name them. The only file of core
// that sees node:crypto. It makes no keys, because that takes randomness; lib/trust does.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { digest, toHex } from "../digest.ts";
import { ShoalError } from "../error.ts";
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";

export const publicKeyBytes = 32;
export const signatureBytes = 64;

/** Something that can sign and says which key it signs with. */
export interface SigningKey {
  /** See `keyIdOf`. */
  readonly keyId: string;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** An Ed25519 signature of 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** An Ed25519 private key as a JWK (RFC 8037); `x` is the public half, `d` the secret one. */
export interface PrivateJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  readonly d: string;
}

/** The first 16 bytes of BLAKE3 of the raw public key, in hexadecimal. */
export function keyIdOf(publicKey: Uint8Array): string {
  return toHex(digest(publicKey).subarray(0, 16));
}

/** Whether a signature is by this key. False, not an error, for keys and signatures of a wrong size. */
export function verifySignature(
  publicKey: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
  const jwk = { kty: "OKP", crv: "Ed25519", x: encodeBase64Url(publicKey) };
  return verify(null, bytes, createPublicKey({ key: jwk, format: "jwk" }), signature);
}

/** A signing key from its JWK. Throws `key_invalid` when it isn't one, or its halves don't belong together. */
export function signingKeyOf(jwk: PrivateJwk): SigningKey {
  const key = createPrivate(jwk);
  const publicKey = decodeBase64Url(jwk.x);
  const signWith = (bytes: Uint8Array): Uint8Array => sign(null, bytes, key);
  // node:crypto takes the public half from `d` and ignores `x`: a signature shows whether they agree.
  const probe = new TextEncoder().encode("shoal key check");
  if (!verifySignature(publicKey, probe, signWith(probe))) {
    throw new ShoalError("key_invalid", "the halves of the key don't belong together", {
      blame: "local",
    });
  }
  return { keyId: keyIdOf(publicKey), publicKey, sign: signWith };
}

function createPrivate(jwk: PrivateJwk): ReturnType<typeof createPrivateKey> {
  try {
    const { kty, crv, x, d } = jwk;
    return createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" });
  } catch {
    // The cause could quote the key.
    throw new ShoalError("key_invalid", "not an Ed25519 private key", { blame: "local" });
  }
}
