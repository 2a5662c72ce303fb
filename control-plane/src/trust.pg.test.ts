// Trust documents, revocations and join tokens, as people and seeders see them.
import { enroll } from "@shoal/trust/enroll.test-kit";
import { createKey } from "@shoal/trust/key-file";
import { verifyDelegation } from "@shoal/trust/delegation";
import { swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { verifyRevocations } from "@shoal/trust/revocations";
import { type TrustDocument, signTrustDocument } from "@shoal/trust/trust-document";
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { raiseEpoch } from "./db/fleet.ts";
import { renewRevocations, syncTrust } from "./operations/trust.ts";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import type { TestFleet } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (one) => {
  fleet = one;
  await fleet.admin.regions.create({ name: "east", home: true });
});

const signed = (version: number, by = fleet.root) => {
  const document: TrustDocument = { ...fleet.trust, version };
  return signTrustDocument(by, document);
};
/** As somebody does who can write to the database. */
async function writeTrust(version: number, document: ReturnType<typeof signed>): Promise<void> {
  const documents = JSON.stringify([document]);
  await fleet.database`
    update trust set version = ${version}, documents = ${documents}::text::jsonb`;
}
const nobody = (): boolean => false;

test("gives a newer trust document to seeders, and tells them at once", async () => {
  const { client } = await fleet.seeder("east");
  const known = (await client.plan())?.version ?? "";
  const waiting = client.plan({ known, waitMs: 10_000 });
  const answer = await fleet.admin.trust.publish({ documents: [signed(2)] });
  expect(answer).toMatchObject({ version: 2 });
  const before = fleet.trust.version;
  expect(before).toBe(1);
  const plan = await waiting;
  const state = await client.trust();
  expect(state.documents).toEqual([signed(2)]);
  expect(plan?.trustEdition).toBeDefined();
});

const refusals = [
  ["by a key that isn't the root", "signature_key_unknown", () => signed(9, createKey())],
  ["older than the one known", "trust_document_rolled_back", () => signed(1)],
  [
    "of the known version and other words",
    "trust_document_conflict",
    () => signTrustDocument(fleet.root, { ...fleet.trust, version: 3, goals: [] }),
  ],
  [
    "that has expired",
    "trust_document_expired",
    () =>
      signTrustDocument(fleet.root, {
        ...fleet.trust,
        version: 9,
        expires: "2020-01-01T00:00:00Z",
      }),
  ],
] as const;
test.for(refusals)("refuses a trust document %s with %s", async ([, code, make]) => {
  await fleet.admin.trust.publish({ documents: [signed(3)] });
  const call = fleet.admin.trust.publish({ documents: [make()] });
  await expect(call).rejects.toMatchObject({ code });
  expect((await fleet.admin.trust.get()).version).toBe(3);
});

test("takes from the database what another control plane was given, and gives back what a backup lost", async () => {
  await fleet.admin.trust.publish({ documents: [signed(4)] });
  await writeTrust(5, signed(5));
  await syncTrust(fleet.deps, "/nowhere");
  expect(fleet.deps.trust.document().version).toBe(5);
  await writeTrust(2, signed(2));
  await syncTrust(fleet.deps, "/nowhere");
  const [row] = await fleet.database`select version from trust`;
  expect(row?.["version"]).toBe(5);
  // Who can write to the database and doesn't have the root key gets nobody to believe anything.
  const forged = signed(9, createKey());
  await writeTrust(9, forged);
  await syncTrust(fleet.deps, "/nowhere");
  expect(fleet.deps.trust.document().version).toBe(5);
});

test("a seeder gets leave to issue passports in its own region", async () => {
  const { client, peerId } = await fleet.seeder("east");
  const answer = await client.register({
    url: "https://127.0.0.1:1",
    swarmAddresses: [],
    goalEpochMax: 0,
  });
  const delegation = await verifyDelegation(answer.delegation, fleet.trust, Date.now());
  expect(delegation).toMatchObject({ peerId, region: "east" });
});

test("a revoked host doesn't join again, and the token that it joined with lets in nobody else", async () => {
  const { client } = await fleet.seeder("east");
  const { token } = await fleet.admin.joinTokens.create({
    region: "east",
    usesMax: 5,
    ttlMs: 60_000,
  });
  const stolen = createKey();
  const join = (peerId: string) => client.passport({ joinToken: token, peerId, host: "h1" });
  await join(stolen.peerId);
  await fleet.admin.revocations.create({ peerId: stolen.peerId });
  await expect(join(stolen.peerId)).rejects.toMatchObject({ code: "passport_revoked" });
  await expect(join(createKey().peerId)).rejects.toMatchObject({ code: "join_token_invalid" });
  const { revocations } = await client.trust();
  const [list] = revocations;
  if (list === undefined) throw new Error("no list");
  const read = verifyRevocations(list, fleet.trust, { nowMs: Date.now(), region: "east" });
  expect(read.peers.map(({ peerId }) => peerId)).toEqual([stolen.peerId]);
});

test("a revoked seeder is refused at once, and its key doesn't come back with another token", async () => {
  const { client, peerId, enrolled } = await fleet.seeder("east");
  await fleet.admin.revocations.create({ peerId });
  await expect(client.plan()).rejects.toMatchObject({ code: "passport_revoked" });
  const { key } = enrolled;
  const back = enroll(fleet.admin, fleet.clientOf, {
    ...{ role: "seeder", name: "seeder-2", region: "east", key },
  });
  await expect(back).rejects.toMatchObject({ code: "passport_revoked" });
  // Its name is free again, for another key.
  await fleet.seeder("east");
});

test("a restored backup brings no revoked peer back: seeders know the list that it lost", async () => {
  const { client } = await fleet.seeder("east");
  const lost = createKey().peerId;
  await fleet.admin.revocations.create({ peerId: lost });
  const { revocations } = await client.trust();
  // What a backup from before the revocation looks like.
  await fleet.database`delete from revocations`;
  await fleet.database`delete from revocation_list`;
  await raiseEpoch(fleet.database, 7);
  const facts = { url: "https://x", swarmAddresses: [], goalEpochMax: 0 };
  await client.register({ ...facts, revocations });
  const again = await client.trust();
  const [list] = again.revocations;
  if (list === undefined) throw new Error("no list");
  const read = verifyRevocations(list, fleet.trust, { nowMs: Date.now(), region: "east" });
  expect(read).toMatchObject({ epoch: 7, peers: [{ peerId: lost }] });
  await expect(client.passport({ joinToken: "x", peerId: lost, host: "h" })).rejects.toMatchObject({
    code: "passport_revoked",
  });
});

test("the list is signed again when the epoch rises", async () => {
  const { client } = await fleet.seeder("east");
  await fleet.admin.revocations.create({ peerId: createKey().peerId });
  const before = await client.trust();
  await renewRevocations(fleet.deps);
  expect(await client.trust()).toEqual(before);
  await raiseEpoch(fleet.database, 9);
  await renewRevocations(fleet.deps);
  expect(await client.trust()).not.toEqual(before);
});

test("a join token gives its labels, and no host brings others of their names", async () => {
  const { client } = await fleet.seeder("east");
  const labels = { pool: "web" };
  const create = { region: "east", usesMax: 5, ttlMs: 60_000, labels };
  const { token: joinToken } = await fleet.admin.joinTokens.create(create);
  const { peerId } = createKey();
  const join = (own: Record<string, string>) =>
    client.passport({ joinToken, peerId, host: "h1", labels: own });
  await expect(join({ pool: "db" })).rejects.toMatchObject({ code: "join_labels_wrong" });
  const check = { nowMs: Date.now(), peerId, roles: swarmRoles, isRevoked: nobody };
  for (const own of [{ disk: "ssd" }, { disk: "hdd" }]) {
    const { passport } = await join(own);
    const facts = await verifyPassport(passport, fleet.trust, check);
    expect(facts.labels).toEqual({ pool: "web", ...own });
  }
  await expect(join({ pool: "db" })).rejects.toMatchObject({ code: "join_labels_wrong" });
  const [row] = await fleet.database`select uses from join_tokens`;
  expect(row?.["uses"]).toBe(1);
});

const tokenRefusals = [
  ["that nobody made", "join_token_invalid", "select 1"],
  ["that has ended", "join_token_expired", "update join_tokens set expires_at = now()"],
  ["that is used up", "join_token_used_up", "update join_tokens set uses = uses_max"],
] as const;
test.for(tokenRefusals)("a join token %s is refused with %s", async ([, code, change]) => {
  const { client } = await fleet.seeder("east");
  const create = { region: "east", usesMax: 1, ttlMs: 60_000 };
  const { token } = await fleet.admin.joinTokens.create(create);
  await fleet.database.unsafe(change);
  const joinToken = code === "join_token_invalid" ? "shoal_join_guess" : token;
  const call = client.passport({ joinToken, peerId: createKey().peerId, host: "h1" });
  await expect(call).rejects.toMatchObject({ code });
});

test("hosts that a seeder let in are counted once, and not beyond the token", async () => {
  const { client } = await fleet.seeder("east");
  const create = { region: "east", usesMax: 1, ttlMs: 60_000 };
  const { token } = await fleet.admin.joinTokens.create(create);
  const [offered] = (await client.joinTokens()).items;
  const hash = createHash("sha256").update(token).digest("hex");
  expect(offered).toMatchObject({ hash, usesLeft: 1, environment: "production" });
  const [first, second] = [createKey().peerId, createKey().peerId];
  const admission = { hash, host: "h1", zone: "a", environment: "production", labels: {} };
  await client.admissions({ items: [{ ...admission, peerId: first }] });
  await client.admissions({ items: [{ ...admission, peerId: first }] });
  await client.admissions({ items: [{ ...admission, peerId: second }] });
  expect((await client.joinTokens()).items).toEqual([]);
  // Both are members from now on: they renew with their token.
  for (const peerId of [first, second]) {
    const renewed = await client.passport({ joinToken: token, peerId, host: "h1" });
    expect(renewed.environment).toBe("production");
  }
});
