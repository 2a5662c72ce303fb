// Keys and a trust document for tests of what they sign: one key for each use, one that is expired,
// one that is listed and may sign nothing, and one that nobody lists.
import { type KeyFile, createKey } from "./key-file.ts";
import { type TrustDocument, trustKeyOf } from "./trust-document.ts";

export const nowMs: number = Date.parse("2026-06-01T00:00:00Z");
export const later = "2027-01-01T00:00:00Z";
const earlier = "2026-05-31T23:59:59Z";

export interface Signers {
  readonly root: KeyFile;
  readonly builder: KeyFile;
  readonly goals: KeyFile;
  readonly passports: KeyFile;
  readonly grants: KeyFile;
  readonly expired: KeyFile;
  readonly idle: KeyFile;
  readonly stranger: KeyFile;
}

export function createSigners(): Signers {
  return {
    root: createKey(),
    builder: createKey(),
    goals: createKey(),
    passports: createKey(),
    grants: createKey(),
    expired: createKey(),
    idle: createKey(),
    stranger: createKey(),
  };
}

/** Project web, environment production, region north; the expired key could sign all of it. */
export function trustOf(signers: Signers): TrustDocument {
  const { builder, goals, passports, grants, expired, idle } = signers;
  return {
    format: "shoal.trust/v1",
    version: 3,
    issuedAt: "2026-01-01T00:00:00Z",
    expires: later,
    keys: [
      ...[builder, goals, passports, grants, idle].map((key) => trustKeyOf(key.publicKey, later)),
      trustKeyOf(expired.publicKey, earlier),
    ],
    statements: [
      { key: builder.keyId, projects: ["web"] },
      { key: expired.keyId, projects: "*" },
    ],
    goals: [
      { key: goals.keyId, environments: ["production"] },
      { key: expired.keyId, environments: "*" },
    ],
    passports: [
      { key: passports.keyId, regions: ["north"] },
      { key: expired.keyId, regions: "*" },
    ],
    grants: [
      { key: grants.keyId, regions: ["north", "south"] },
      { key: expired.keyId, regions: "*" },
    ],
  };
}

/** A public key as documents and configurations spell it. */
export function publicText(key: KeyFile): string {
  return key.publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The code of the error that a call throws or rejects with; what it gave back when it doesn't. */
export async function codeOf(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}
