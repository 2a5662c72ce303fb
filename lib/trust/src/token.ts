// Compact JWS tokens: what passports, delegations, grants, calls and join requests have in common. Which key
// has to have signed one is for the caller to find.
// One algorithm (EdDSA), one `typ` for each kind, one spelling (strict base64url), bounded length.
import { remoteError } from "@shoal/core/error";
import { clockSkewMs, tokenBytesMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import {
  type JWTPayload,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  jwtVerify,
} from "jose";
import type { KeyFile } from "./key-file.ts";
import type { TrustedKey } from "./trusted-keys.ts";

/** Error codes of a kind are `<kind>_invalid`, `<kind>_expired` and `<kind>_too_early`. */
export type TokenKind = "passport" | "delegation" | "grant" | "call" | "join";

const algorithm = "EdDSA";

/** The key of this id; the claims are unverified and may say where to look for it. */
export type TokenKeyLookup<Key> = (
  keyId: string,
  claims: Readonly<Record<string, unknown>>,
) => Key | undefined | Promise<Key | undefined>;

export interface OpenedToken<Key> {
  readonly claims: unknown;
  readonly key: Key;
  readonly expiresAtMs: number;
}

/** Signs claims, valid from now for `ttlMs`. */
export function signToken(
  key: KeyFile,
  kind: TokenKind,
  claims: JWTPayload,
  { nowMs, ttlMs }: { readonly nowMs: number; readonly ttlMs: number },
): string {
  const nowSeconds = Math.floor(nowMs / 1000);
  const times = {
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: Math.floor((nowMs + ttlMs) / 1000),
  };
  const header = { alg: algorithm, typ: typeOf(kind), kid: key.keyId };
  // Put together here, because the library signs by way of WebCrypto, which imports the key and goes
  // through a thread for each: a tenth of what a control plane did for a build (2026-11-21).
  const signed = `${encodePart(header)}.${encodePart({ ...claims, ...times })}`;
  return `${signed}.${base64Url(key.sign(Buffer.from(signed)))}`;
}

function encodePart(part: object): string {
  return base64Url(Buffer.from(JSON.stringify(part)));
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Verifies form, signature and time; whether the key may sign this is for `requireAllowed`. */
export async function openToken<Key extends Pick<TrustedKey, "publicKey">>(
  token: string,
  kind: TokenKind,
  keyLookup: TokenKeyLookup<Key>,
  nowMs: number,
): Promise<OpenedToken<Key>> {
  const { keyId, claims } = peek(token, kind);
  const key = await keyLookup(keyId, claims);
  if (key === undefined) {
    throw remoteError("signature_key_unknown", `the ${kind} is signed by no key that is known`);
  }
  const x = key.publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
  try {
    const { payload } = await jwtVerify(
      token,
      await importJWK({ kty: "OKP", crv: "Ed25519", x }, algorithm),
      {
        algorithms: [algorithm],
        typ: typeOf(kind),
        currentDate: new Date(nowMs),
        clockTolerance: clockSkewMs / 1000,
        requiredClaims: ["exp", "nbf", "iat"],
      },
    );
    return { claims: payload, key, expiresAtMs: (payload.exp ?? 0) * 1000 };
  } catch (error) {
    throw explain(error, kind);
  }
}

/** The claims of a well-formed token; nothing is verified. */
export function readClaims(token: string, kind: TokenKind): Readonly<Record<string, unknown>> {
  return peek(token, kind).claims;
}

/** The key id in a well-formed token's header, and its claims; nothing is verified yet. */
function peek(
  token: string,
  kind: TokenKind,
): { readonly keyId: string; readonly claims: Readonly<Record<string, unknown>> } {
  const invalid = remoteError(`${kind}_invalid`, `not a ${kind}`);
  if (typeof token !== "string" || token.length > tokenBytesMax) throw invalid;
  const parts = token.split(".", 4);
  if (parts.length !== 3) throw invalid;
  try {
    for (const part of parts) decodeBase64Url(part);
    const { kid } = decodeProtectedHeader(token);
    if (typeof kid === "string") return { keyId: kid, claims: decodeJwt(token) };
  } catch {
    throw invalid;
  }
  throw invalid;
}

function explain(error: unknown, kind: TokenKind): Error {
  if (error instanceof errors.JWTExpired) {
    return remoteError(`${kind}_expired`, `the ${kind} has expired`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return remoteError("signature_invalid", `the signature of the ${kind} is wrong`);
  }
  if (
    error instanceof errors.JWTClaimValidationFailed &&
    error.claim === "nbf" &&
    error.reason === "check_failed"
  ) {
    return remoteError(`${kind}_too_early`, `the ${kind} isn't valid yet`);
  }
  const message = error instanceof errors.JOSEError ? error.message : "it can't be verified";
  return remoteError(`${kind}_invalid`, `not a ${kind}: ${message}`);
}

function typeOf(kind: TokenKind): string {
  return `shoal-${kind}+jwt`;
}
