// What was signed by an earlier version must open for as long as its keys are good: one of each kind,
// and each of them damaged in every way that chance finds. SLOW=1 makes that 200,000 inputs.
import { readFileSync } from "node:fs";
import { damaged } from "@shoal/core/damage.test-kit";
import { ShoalError } from "@shoal/core/error";
import { Prng } from "@shoal/core/prng";
import type { Envelope } from "@shoal/core/trust/dsse";
import { envelope as envelopeSchema } from "@shoal/api/names";
import { expect, test } from "vitest";
import { z } from "zod";
import { verifyCallProof } from "./call-proof.ts";
import { verifyDelegation } from "./delegation.ts";
import { verifyGoal } from "./goal-envelope.ts";
import { verifyGrant } from "./grant.ts";
import { verifyJoinRequest } from "./join-request.ts";
import { swarmRoles, verifyPassport } from "./passport.ts";
import { checkClaims } from "./payload.ts";
import { verifyRevocations } from "./revocations.ts";
import { verifyStatement } from "./statement.ts";
import { followChain } from "./trust-chain.ts";
import type { TrustDocument } from "./trust-document.ts";

const inputsCount = process.env["SLOW"] === "1" ? 200_000 : 4000;
const msMax = 500;
const folder = new URL("../../../test/fixtures/trust/", import.meta.url);
const nowMs = Date.parse("2026-06-01T00:10:00Z");
const rootPublicKey = Uint8Array.fromBase64("iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w", {
  alphabet: "base64url",
});
const artifact = "bafyr4ici7rzb7o6bolqjex5cplywohpcew5je4juqauzrmikcvukdcdffm";
const peerId = "12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba";

function read(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, folder)));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trim();
}

/** As from a file or a wire. */
function envelopeIn(bytes: Uint8Array): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes));
  } catch (cause) {
    throw new ShoalError("envelope_invalid", "not JSON", { blame: "remote", cause });
  }
  return checkClaims(value, envelopeSchema, "envelope_invalid");
}

/** Every document of a chain, in order. */
function envelopesIn(bytes: Uint8Array): readonly Envelope[] {
  let values: unknown;
  try {
    values = JSON.parse(textOf(bytes));
  } catch (cause) {
    throw new ShoalError("envelope_invalid", "not JSON", { blame: "remote", cause });
  }
  return checkClaims(values, z.array(envelopeSchema), "envelope_invalid");
}

const openTrust = (bytes: Uint8Array): TrustDocument =>
  followChain({ pinned: rootPublicKey }, [envelopeIn(bytes)]).document;
const trust = openTrust(read("v1/trust-document.json"));
const secondRoot = Uint8Array.fromBase64("w4pPMv4quYRZTr5zR--1pnF9amoqzfPk6NfTJ-NGAtE", {
  alphabet: "base64url",
});
const openChain = (bytes: Uint8Array): TrustDocument =>
  followChain({ pinned: secondRoot }, envelopesIn(bytes)).document;
const laterTrust = openChain(read("v2/trust-chain.json"));
/** Of what was signed at 2026-06-01T00:00:00Z and is good for minutes. */
const soonMs = Date.parse("2026-06-01T00:01:00Z");
const seederId = "12D3KooWPrr399ABgTBc5stgc5d289oemLfKnVjmgsLUrMa5FkAC";
const hostId = "12D3KooWAxGysozE9g5TdJWPAMd9mNRoAv3dWMBc4Wxa3vK7nYcc";
const builderId = "12D3KooWMyV3QFL4XwwqYY6D59oDmAX3L67Vr6FZEXKtpo2gUyyU";
const isRevoked = (): boolean => false;

interface Kind {
  readonly name: string;
  readonly open: (bytes: Uint8Array) => unknown;
  readonly says: object;
}

const kinds: readonly Kind[] = [
  {
    name: "v1/trust-document.json",
    open: openTrust,
    says: { format: "shoal.trust/v1", version: 3, grants: [{ regions: "*" }] },
  },
  {
    name: "v1/statement.json",
    open: (bytes) => verifyStatement(envelopeIn(bytes), trust, { nowMs, project: "web", artifact }),
    says: { project: "web", artifact, builder: "builder-1" },
  },
  {
    name: "v1/goal.json",
    open: (bytes) => verifyGoal(envelopeIn(bytes), trust, { nowMs }),
    says: { service: "web", generation: 5, run: { id: "rel-b78161bb4cf54707fbd329967b138665" } },
  },
  {
    name: "v1/passport.jws",
    open: (bytes) =>
      verifyPassport(textOf(bytes), trust, { nowMs, peerId, roles: swarmRoles, isRevoked }),
    says: { host: "host-1", role: "host", environment: "production", labels: { role: "web" } },
  },
  {
    name: "v1/grant.jws",
    open: (bytes) =>
      verifyGrant(textOf(bytes), trust, {
        nowMs: nowMs - 300_000,
        region: "north",
        scope: "ingest",
      }),
    says: { scope: "ingest", project: "web", build: 7, fence: "9" },
  },
  {
    name: "v2/trust-chain.json",
    open: openChain,
    says: { version: 3, passports: [{ regions: ["north"] }] },
  },
  {
    name: "v2/revocations.json",
    open: (bytes) =>
      verifyRevocations(envelopeIn(bytes), laterTrust, { nowMs: soonMs, region: "north" }),
    says: { epoch: 3, version: 4, peers: [{ peerId: hostId, until: "2026-07-01T00:00:00Z" }] },
  },
  {
    name: "v2/delegation.jws",
    open: (bytes) => verifyDelegation(textOf(bytes), laterTrust, soonMs),
    says: { peerId: seederId, region: "north" },
  },
  {
    name: "v2/delegated-passport.jws",
    open: (bytes) => {
      const check = { nowMs: soonMs, peerId: hostId, roles: swarmRoles, isRevoked };
      return verifyPassport(textOf(bytes), laterTrust, check);
    },
    says: { host: "host-1", role: "host", issuer: seederId, environment: "production" },
  },
  {
    name: "v2/call.jws",
    open: (bytes) => verifyCallProof(textOf(bytes), laterTrust, { nowMs: soonMs, isRevoked }),
    says: { passport: { peerId: builderId, role: "builder", labels: { pool: "trusted" } } },
  },
  {
    name: "v2/join.jws",
    open: (bytes) => verifyJoinRequest(textOf(bytes), soonMs),
    says: { peerId: builderId, role: "builder", name: "builder-1", joinToken: "shoal_join_0" },
  },
];

test.for(kinds)("the golden $name opens and says what it said", async ({ name, open, says }) => {
  expect(await open(read(name))).toMatchObject(says);
});

test.for(kinds)(
  "a damaged $name is refused or says the same, and nothing else happens",
  { timeout: 20 * 60_000 },
  async ({ name, open }) => {
    const valid = read(name);
    const before = await open(valid);
    const prng = new Prng(Date.now());
    let refused = 0;
    const count = Math.ceil(inputsCount / kinds.length);
    for (let input = 0; input < count; input += 1) {
      const bytes = damaged(valid, prng);
      const startedAt = performance.now();
      try {
        // Whitespace and what isn't signed may differ.
        expect(await open(bytes)).toEqual(before);
      } catch (error) {
        if (!(error instanceof ShoalError)) {
          throw new Error(`not an error of ours for ${bytes.toHex()}`, { cause: error });
        }
        refused += 1;
      }
      const ms = performance.now() - startedAt;
      if (ms > msMax) throw new Error(`${ms} ms for ${bytes.toHex()}`);
    }
    expect(refused).toBeGreaterThan(count / 10);
  },
);
