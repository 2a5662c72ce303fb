// Tokens: made here, shown once, kept as SHA-256. They have 256 random bits, so that a fast hash
// without salt is enough.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** `shoal_<kind>_` and 43 characters; the prefix lets scanners find leaked ones. */
export function createToken(kind: "person" | "join" | "webhook"): string {
  return `shoal_${kind}_${randomBytes(32).toString("base64url")}`;
}

export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Compares two hashes in a time that doesn't depend on them. */
export function hashEquals(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
