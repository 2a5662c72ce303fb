import { callProofMs } from "@shoal/core/limits";
import { minuteMs } from "@shoal/core/units";
import { describe, expect, test } from "vitest";
import { issueCallProof, verifyCallProof } from "./call-proof.ts";
import { issueJoinRequest, verifyJoinRequest } from "./join-request.ts";
import { type KeyFile, createKey } from "./key-file.ts";
import { type PassportFacts, issuePassport } from "./passport.ts";
import { codeOf, createSigners, nowMs, trustOf } from "./signers.test-kit.ts";
import { signToken } from "./token.ts";

const signers = createSigners();
const { passports, builder: statementKey } = signers;
const trust = trustOf(signers);
const member = createKey();
const facts: PassportFacts = {
  ...{ peerId: member.peerId, host: "builder-1", region: "north", zone: "default" },
  ...{ role: "builder", labels: { pool: "trusted" }, environment: null },
};
const check = { nowMs, isRevoked: (): boolean => false };

const passportOf = (change: Partial<PassportFacts> = {}, key: KeyFile = passports, atMs = nowMs) =>
  issuePassport(key, { ...facts, ...change }, 10 * minuteMs, atMs);

async function proofOf(
  change: Partial<PassportFacts> = {},
  key: KeyFile = passports,
): Promise<string> {
  return issueCallProof(member, await passportOf(change, key), nowMs);
}

/** Signed by the member's own key, with these claims. */
function crafted(claims: Record<string, unknown>, ttlMs: number = callProofMs): string {
  return signToken(member, "call", claims, { nowMs, ttlMs });
}

describe("a call", () => {
  test("says whose passport it is, while both are good", async () => {
    const { passport, expiresAtMs } = await verifyCallProof(await proofOf(), trust, check);
    expect(passport).toMatchObject(facts);
    expect(expiresAtMs).toBe(nowMs + callProofMs);
    const short = await issuePassport(passports, facts, minuteMs, nowMs);
    const ending = await verifyCallProof(issueCallProof(member, short, nowMs), trust, check);
    expect(ending.expiresAtMs).toBe(nowMs + minuteMs);
  });

  const aud = "control-plane";
  const refusals: readonly (readonly [string, string, Promise<string> | string])[] = [
    ["with a passport of another key", "passport_peer_wrong", stolen()],
    ["with a host's passport", "passport_role_wrong", proofOf({ role: "host" })],
    [
      "with a passport by a key that nobody lists",
      "signature_key_unknown",
      proofOf({}, createKey()),
    ],
    ["with a passport by a builder's key", "key_not_allowed", proofOf({}, statementKey)],
    ["with a passport of a foreign region", "key_not_allowed", proofOf({ region: "south" })],
    ["with a passport that has expired", "passport_expired", expiredPassport()],
    ["that has expired", "call_expired", replayed(-2 * callProofMs)],
    ["from the future", "call_too_early", replayed(2 * callProofMs)],
    ["for somebody else", "call_invalid", withAudience("seeder")],
    ["without a passport", "call_invalid", crafted({ aud })],
    ["with something else for a passport", "passport_invalid", crafted({ aud, passport: "x" })],
    ["that is good for a year", "call_invalid", lasting()],
    ["that is a passport", "call_invalid", passportOf()],
    ["with another signature", "signature_invalid", forged()],
    ["that isn't a token", "call_invalid", "x"],
  ];
  test.for(refusals)("%s is refused with %s", async ([, code, proof]) => {
    const text = await proof;
    expect(await codeOf(() => verifyCallProof(text, trust, check))).toBe(code);
  });

  test("of a revoked member is refused", async () => {
    const text = await proofOf();
    const isRevoked = (peerId: string): boolean => peerId === member.peerId;
    const code = await codeOf(() => verifyCallProof(text, trust, { nowMs, isRevoked }));
    expect(code).toBe("passport_revoked");
  });
});

/** Somebody who read a passport and has a key of their own. */
async function stolen(): Promise<string> {
  return issueCallProof(createKey(), await passportOf(), nowMs);
}

async function expiredPassport(): Promise<string> {
  return issueCallProof(member, await passportOf({}, passports, nowMs - 20 * minuteMs), nowMs);
}

async function replayed(laterMs: number): Promise<string> {
  return issueCallProof(member, await passportOf(), nowMs + laterMs);
}

async function withAudience(aud: string): Promise<string> {
  return crafted({ aud, passport: await passportOf() });
}

async function lasting(): Promise<string> {
  return crafted({ aud: "control-plane", passport: await passportOf() }, 365 * 24 * 60 * minuteMs);
}

async function forged(): Promise<string> {
  const [head, body] = (await proofOf()).split(".");
  const [, , signature] = (await proofOf({ labels: { pool: "other" } })).split(".");
  return `${head}.${body}.${signature}`;
}

describe("a request to join", () => {
  const request = { role: "builder", name: "builder-1", joinToken: "secret" } as const;
  const issue = (atMs: number = nowMs): string => issueJoinRequest(member, request, atMs);

  test("says who asks", async () => {
    const verified = await verifyJoinRequest(issue(), nowMs);
    expect(verified).toEqual({ ...request, peerId: member.peerId });
  });

  const body = { aud: "control-plane", sub: member.peerId, ...request };
  const signed = (claims: Record<string, unknown>, key: KeyFile = member): string =>
    signToken(key, "join", claims, { nowMs, ttlMs: callProofMs });
  const refusals = [
    ["for a key that didn't sign it", "join_invalid", signed(body, createKey())],
    ["of a host", "join_invalid", signed({ ...body, role: "host" })],
    ["with a name that isn't one", "join_invalid", signed({ ...body, name: "../x" })],
    ["that is replayed later", "join_expired", issue(nowMs - 2 * callProofMs)],
    ["from the future", "join_too_early", issue(nowMs + 2 * callProofMs)],
    ["that is a call", "join_invalid", crafted(body)],
    ["changed after signing", "signature_invalid", changed()],
    ["that isn't a token", "join_invalid", "x.y.z"],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, text]) => {
    expect(await codeOf(() => verifyJoinRequest(text, nowMs))).toBe(code);
  });

  function changed(): string {
    const [head, , signature] = issue().split(".");
    const [, other] = issueJoinRequest(member, { ...request, name: "builder-2" }, nowMs).split(".");
    return `${head}.${other}.${signature}`;
  }
});
