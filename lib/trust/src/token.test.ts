import { clockSkewMs, tokenBytesMax } from "@shoal/core/limits";
import { SignJWT, UnsecuredJWT, base64url, importJWK } from "jose";
import { describe, expect, test } from "vitest";
import { type GrantFacts, issueGrant, verifyGrant } from "./grant.ts";
import { type KeyFile, createKey } from "./key-file.ts";
import { type PassportFacts, issuePassport, swarmRoles, verifyPassport } from "./passport.ts";
import { codeOf, createSigners, nowMs, trustOf } from "./signers.test-kit.ts";

const signers = createSigners();
const { builder, expired, grants, passports, stranger } = signers;
const trust = trustOf(signers);
const minuteMs = 60_000;
const isRevoked = (): boolean => false;

const { peerId } = createKey();
const facts: PassportFacts = {
  peerId,
  host: "host-1",
  region: "north",
  zone: "a",
  role: "host",
  labels: { role: "web" },
  environment: "production",
};
const ingest: GrantFacts = {
  scope: "ingest",
  regions: ["north"],
  project: "web",
  build: 7,
  attempt: 1,
  fence: "42",
};

/** A token by a trusted key whose header or claims are wrong. */
async function crafted(
  key: KeyFile,
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
): Promise<string> {
  const seconds = nowMs / 1000;
  return new SignJWT({ iat: seconds, nbf: seconds, exp: seconds + 60, ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: "shoal-passport+jwt", kid: key.keyId, ...header })
    .sign(await importJWK({ ...key.exportSecretJwk() }, "EdDSA"));
}

const claims = {
  sub: peerId,
  host: "host-1",
  region: "north",
  zone: "a",
  role: "host",
  labels: {},
};

const issueWith = (change: Partial<PassportFacts> = {}, key: KeyFile = passports) =>
  issuePassport(key, { ...facts, ...change }, minuteMs, nowMs);

const [head = "", body = "", signature = ""] = (await issueWith()).split(".");
const [, otherBody = ""] = (await issueWith({ role: "seeder" })).split(".");
const ownHead = base64url.encode(
  JSON.stringify({
    alg: "EdDSA",
    typ: "shoal-passport+jwt",
    kid: passports.keyId,
    crit: ["x"],
    x: 1,
  }),
);
const passportRefusals = [
  ["of a builder", "passport_role_wrong", await issueWith({ role: "builder" })],
  ["of another peer", "passport_peer_wrong", await issueWith({ peerId: createKey().peerId })],
  ["by a key that nobody lists", "signature_key_unknown", await issueWith({}, stranger)],
  ["by a builder's key", "key_not_allowed", await issueWith({}, builder)],
  ["for a region that isn't the key's", "key_not_allowed", await issueWith({ region: "south" })],
  ["by a key that has expired", "key_expired", await issueWith({}, expired)],
  ["with claims changed after signing", "signature_invalid", `${head}.${otherBody}.${signature}`],
  [
    "signed by another key under this key's id",
    "signature_invalid",
    await crafted(stranger, { kid: passports.keyId }, claims),
  ],
  ["with no signature", "signature_invalid", `${head}.${body}.`],
  ["that is a grant", "passport_invalid", await issueGrant(passports, ingest, minuteMs, nowMs)],
  ["of no stated type", "passport_invalid", await crafted(passports, { typ: undefined }, claims)],
  ["by algorithm none", "passport_invalid", new UnsecuredJWT(claims).encode()],
  ["by an algorithm that takes a public key for a secret", "passport_invalid", await symmetric()],
  [
    "with a critical header that we don't know",
    "passport_invalid",
    `${ownHead}.${body}.${signature}`,
  ],
  ["without a key id", "passport_invalid", await crafted(passports, { kid: undefined }, claims)],
  [
    "without an end",
    "passport_invalid",
    await crafted(passports, {}, { ...claims, exp: undefined }),
  ],
  [
    "without a host",
    "passport_invalid",
    await crafted(passports, {}, { ...claims, host: undefined }),
  ],
  [
    "with a host id that leaves its folder",
    "passport_invalid",
    await crafted(passports, {}, { ...claims, host: "../x" }),
  ],
  [
    "of an unknown role",
    "passport_invalid",
    await crafted(passports, {}, { ...claims, role: "root" }),
  ],
  ["with padding", "passport_invalid", `${head}.${body}.${signature}=`],
  [
    "with stray bits in its last character",
    "passport_invalid",
    `${head}.${body}.${strayBit(signature)}`,
  ],
  ["in two parts", "passport_invalid", `${head}.${body}`],
  ["in four parts", "passport_invalid", `${head}.${body}.${signature}.x`],
  ["that is empty", "passport_invalid", ""],
  ["that is too long", "passport_invalid", `${head}.${"A".repeat(tokenBytesMax)}.${signature}`],
] as const;

describe("passport", () => {
  const expected = { nowMs, peerId, roles: swarmRoles, isRevoked };
  test("gives its facts and its end to whoever proved the peer id", async () => {
    const passport = await verifyPassport(await issueWith(), trust, expected);
    expect(passport).toEqual({ ...facts, issuer: null, expiresAtMs: nowMs + minuteMs });
    const seeder = await issueWith({ role: "seeder", environment: null });
    expect(await verifyPassport(seeder, trust, expected)).toMatchObject({ environment: null });
  });

  test("may be a little early or late, as two clocks differ, and not more", async () => {
    const passport = await issueWith();
    const at = (ms: number) =>
      codeOf(() => verifyPassport(passport, trust, { ...expected, nowMs: ms }));
    expect(await at(nowMs - clockSkewMs)).toMatchObject({ host: "host-1" });
    expect(await at(nowMs - clockSkewMs - 1000)).toBe("passport_too_early");
    expect(await at(nowMs + minuteMs + clockSkewMs - 1000)).toMatchObject({ host: "host-1" });
    expect(await at(nowMs + minuteMs + clockSkewMs)).toBe("passport_expired");
  });

  test.for(passportRefusals)("%s is refused with %s", async ([, code, passport]) => {
    expect(await codeOf(() => verifyPassport(passport, trust, expected))).toBe(code);
  });
});

/** HS256 with the public key as the secret: the classic confusion. */
function symmetric(): Promise<string> {
  return new SignJWT({ ...claims, exp: nowMs / 1000 + 60 })
    .setProtectedHeader({ alg: "HS256", typ: "shoal-passport+jwt", kid: passports.keyId })
    .sign(passports.publicKey);
}

/** 64 bytes leave two unused bits in their 86th character. */
function strayBit(signature: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(signature.at(-1) ?? "");
  return signature.slice(0, -1) + (alphabet[last + 1] ?? "");
}

describe("grant", () => {
  const expected = { nowMs, region: "north", scope: "ingest" } as const;
  const issue = (change: Partial<GrantFacts> = {}, key: KeyFile = grants) =>
    issueGrant(key, { ...ingest, ...change }, minuteMs, nowMs);

  test("for ingest names the project, attempt and fence", async () => {
    const grant = await verifyGrant(await issue(), trust, expected);
    expect(grant.project).toBe("web");
    expect(grant).toEqual({ ...ingest, expiresAtMs: nowMs + minuteMs });
  });

  test("to pull is good in each of its regions", async () => {
    const pull = await issueGrant(
      grants,
      { scope: "pull", regions: ["north", "south"] },
      minuteMs,
      nowMs,
    );
    for (const region of ["north", "south"]) {
      const found = await verifyGrant(pull, trust, { nowMs, region, scope: "pull" });
      expect(found).toMatchObject({ scope: "pull", regions: ["north", "south"] });
    }
  });

  const refusals = [
    ["for another region", "grant_region_wrong", issue({ regions: ["south"] })],
    [
      "for another scope",
      "grant_scope_wrong",
      issueGrant(grants, { scope: "inspect", regions: ["north"] }, minuteMs, nowMs),
    ],
    [
      "that has expired",
      "grant_expired",
      issueGrant(grants, ingest, minuteMs, nowMs - 3 * minuteMs),
    ],
    [
      "from the future",
      "grant_too_early",
      issueGrant(grants, ingest, minuteMs, nowMs + 3 * minuteMs),
    ],
    ["by a key that nobody lists", "signature_key_unknown", issue({}, stranger)],
    ["by a key that issues passports", "key_not_allowed", issue({}, passports)],
    ["by a key that has expired", "key_expired", issue({}, expired)],
    ["that is a passport", "grant_invalid", issuePassport(grants, facts, minuteMs, nowMs)],
    ["for no region", "grant_invalid", issue({ regions: [] })],
    ["with a fence that isn't a number", "grant_invalid", issue({ fence: "x" })],
    [
      "of an unknown scope",
      "grant_invalid",
      crafted(grants, { typ: "shoal-grant+jwt" }, { aud: "north", scope: "all" }),
    ],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, grant]) => {
    const text = await grant;
    expect(await codeOf(() => verifyGrant(text, trust, expected))).toBe(code);
  });
});
