import { peerIdOf } from "@shoal/core/peer-id";
import { describe, expect, test } from "vitest";
import { issueDelegation, type Delegation } from "./delegation.ts";
import { createKey, type KeyFile } from "./key-file.ts";
import { issuePassport, swarmRoles, verifyPassport, type PassportFacts } from "./passport.ts";
import { codeOf, createSigners, nowMs, trustOf } from "./signers.test-kit.ts";

const signers = createSigners();
const { passports, grants, expired, stranger } = signers;
const trust = trustOf(signers);
const seeder = createKey();
const host = createKey();
const hourMs = 3_600_000;
const nobody = (): boolean => false;
const check = { nowMs, peerId: host.peerId, roles: swarmRoles, isRevoked: nobody };

const delegate = (change: Partial<Delegation> = {}, key: KeyFile = passports, atMs = nowMs) =>
  issueDelegation(key, { peerId: seeder.peerId, region: "north", ...change }, hourMs, atMs);
const facts: PassportFacts = {
  peerId: host.peerId,
  host: "host-1",
  region: "north",
  zone: "a",
  role: "host",
  labels: {},
  environment: "production",
};
async function issued(
  delegation: string | Promise<string> | undefined,
  change: Partial<PassportFacts> = {},
  key: KeyFile = seeder,
): Promise<string> {
  return issuePassport(key, { ...facts, ...change }, 24 * hourMs, nowMs, await delegation);
}

describe("a passport that a seeder issued under its delegation", () => {
  test("is good, and ends with the delegation", async () => {
    const passport = await verifyPassport(await issued(delegate()), trust, check);
    const expiresAtMs = nowMs + hourMs;
    expect(passport).toEqual({ ...facts, issuer: seeder.peerId, expiresAtMs });
  });

  const refusals = [
    ["without the delegation in it", "signature_key_unknown", issued(undefined)],
    [
      "of another seeder's delegation",
      "signature_key_unknown",
      issued(delegate({ peerId: createKey().peerId })),
    ],
    [
      "for a region that isn't the delegate's",
      "delegation_exceeded",
      issued(delegate(), { region: "south" }),
    ],
    ["that makes another seeder", "delegation_exceeded", issued(delegate(), { role: "seeder" })],
    ["that makes a builder", "delegation_exceeded", issued(delegate(), { role: "builder" })],
    [
      "under a delegation that has ended",
      "delegation_expired",
      issued(delegate({}, passports, nowMs - 2 * hourMs)),
    ],
    [
      "under a delegation of tomorrow",
      "delegation_too_early",
      issued(delegate({}, passports, nowMs + hourMs)),
    ],
    ["under a delegation by a stranger", "signature_key_unknown", issued(delegate({}, stranger))],
    [
      "under a delegation by the seeder itself",
      "signature_key_unknown",
      issued(delegate({}, seeder)),
    ],
    ["under a delegation by a key for grants", "key_not_allowed", issued(delegate({}, grants))],
    ["under a delegation by a key that has expired", "key_expired", issued(delegate({}, expired))],
    [
      "under a delegation for a region that isn't the key's",
      "key_not_allowed",
      issued(delegate({ region: "south" }), { region: "south" }),
    ],
    [
      "under a passport in place of a delegation",
      "delegation_invalid",
      issued(issuePassport(passports, { ...facts, peerId: seeder.peerId }, hourMs, nowMs)),
    ],
    ["under something that isn't one", "delegation_invalid", issued("x.y.z")],
    ["of another peer", "passport_peer_wrong", issued(delegate(), { peerId: createKey().peerId })],
    ["for a passport that a delegate passes on", "signature_key_unknown", passedOn()],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, passport]) => {
    const text = await passport;
    expect(await codeOf(() => verifyPassport(text, trust, check))).toBe(code);
  });

  test.for([
    ["host", host.peerId],
    ["seeder that issued it", seeder.peerId],
  ] as const)("is refused once its %s is revoked", async ([, revoked]) => {
    const text = await issued(delegate());
    const isRevoked = (peerId: string): boolean => peerId === revoked;
    expect(await codeOf(() => verifyPassport(text, trust, { ...check, isRevoked }))).toBe(
      "passport_revoked",
    );
  });
});

/** A host with a passport of the seeder's tries to be a delegate itself. */
async function passedOn(): Promise<string> {
  const second = createKey();
  const chained = await issueDelegation(
    seeder,
    { peerId: peerIdOf(second.publicKey), region: "north" },
    hourMs,
    nowMs,
  );
  return issued(chained, {}, second);
}
