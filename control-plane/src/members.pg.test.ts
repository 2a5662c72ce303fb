// Builders and seeders join as hosts do: join tokens, keys, passports, revocation.
import { issueCallProof } from "@shoal/trust/call-proof";
import { enroll } from "@shoal/trust/enroll.test-kit";
import { type KeyFile, createKey } from "@shoal/trust/key-file";
import { type JoinRequest, issueJoinRequest } from "@shoal/trust/join-request";
import { expect, test } from "vitest";
import { eachWithFleet } from "./each-fleet.test-kit.ts";
import type { TestFleet } from "./test-fleet.ts";

let fleet: TestFleet;
eachWithFleet(async (one) => {
  fleet = one;
  await fleet.admin.regions.create({ name: "east", home: true });
  await fleet.seeder("east");
});

const builder = { role: "builder", name: "b1", region: "east" } as const;
const enrolled = (input: Partial<Parameters<typeof enroll>[2]> = {}) =>
  enroll(fleet.admin, fleet.clientOf, { ...builder, ...input });

async function joinToken(
  input: Partial<Parameters<TestFleet["admin"]["joinTokens"]["create"]>[0]>,
) {
  const create = { region: "east", usesMax: 1, ttlMs: 60_000, ...input };
  return (await fleet.admin.joinTokens.create(create)).token;
}

const join = (
  token: string,
  {
    key = createKey(),
    name = "b9",
    role = "builder",
  }: Partial<JoinRequest & { key: KeyFile }> = {},
) =>
  fleet.clientOf("").members.join({
    request: issueJoinRequest(key, { role, name, joinToken: token }, Date.now()),
  });

test("a builder joins, is leased builds, and renews by showing what it has", async () => {
  const { client } = await enrolled();
  expect(await client.builder.lease({ builder: "b1" })).toEqual({ lease: null });
  const next = await client.members.renew();
  expect(next).toMatchObject({ region: "east" });
  const refused = client.seeder.plan();
  await expect(refused).rejects.toMatchObject({ code: "forbidden" });
  await expect(client.projects.list()).rejects.toMatchObject({ code: "forbidden" });
});

test("a token lets in as many as it says, and the same key again", async () => {
  const token = await joinToken({ role: "builder", usesMax: 2 });
  const key = createKey();
  await join(token, { key, name: "b1" });
  await join(token, { key, name: "b1" });
  await join(token, { name: "b2" });
  const third = join(token, { name: "b3" });
  await expect(third).rejects.toMatchObject({ code: "join_token_used_up" });
});

test.for([
  ["a host's token", "builder", "host"],
  ["a seeder's token", "builder", "seeder"],
  ["a builder's token", "seeder", "builder"],
] as const)("%s lets in no %s", async ([, role, of]) => {
  const call = join(await joinToken({ role: of }), { role });
  await expect(call).rejects.toMatchObject({ code: "join_token_role_wrong" });
});

test("a builder's token lets in no host", async () => {
  const { client } = await fleet.seeder("east", "seeder-2");
  const token = await joinToken({ role: "builder" });
  const call = client.passport({ joinToken: token, peerId: createKey().peerId, host: "h1" });
  await expect(call).rejects.toMatchObject({ code: "join_token_role_wrong" });
  // Nor is it told to seeders, which let hosts in by themselves.
  expect((await client.joinTokens()).items).toEqual([]);
});

const refusals = [
  ["that nobody made", "join_token_invalid", "select 1"],
  ["that has ended", "join_token_expired", "update join_tokens set expires_at = now()"],
  ["that is used up", "join_token_used_up", "update join_tokens set uses = uses_max"],
] as const;
test.for(refusals)("a builder's token %s is refused with %s", async ([, code, change]) => {
  const token = await joinToken({ role: "builder" });
  await fleet.database.unsafe(change);
  const call = join(code === "join_token_invalid" ? "shoal_join_guess" : token);
  await expect(call).rejects.toMatchObject({ code });
});

test("a name is one key's, until that key is revoked", async () => {
  const { key, client } = await enrolled();
  const other = enrolled();
  await expect(other).rejects.toMatchObject({ code: "member_name_taken" });
  await fleet.admin.revocations.create({ peerId: key.peerId });
  await expect(client.builder.lease({ builder: "b1" })).rejects.toMatchObject({
    code: "passport_revoked",
  });
  await expect(client.members.renew()).rejects.toMatchObject({ code: "passport_revoked" });
  await expect(enrolled({ key })).rejects.toMatchObject({ code: "passport_revoked" });
  await enrolled();
});

test("labels of the token are the builder's, and it may say no others of their names", async () => {
  const { client } = await enrolled({ labels: { pool: "trusted" } });
  await fleet.admin.projects.create({
    ...{ name: "greeter", remoteUrl: "/srv/greeter", buildCommand: "make", artifactPath: "out" },
    builderLabels: { pool: "trusted" },
  });
  const lie = client.builder.lease({ builder: "b1", labels: { pool: "other" } });
  await expect(lie).rejects.toMatchObject({ code: "join_labels_wrong" });
  const build = await fleet.admin.builds.start({ project: "greeter", commit: "a".repeat(40) });
  const { lease } = await client.builder.lease({ builder: "b1", labels: { disk: "ssd" } });
  expect(lease?.build).toBe(build.id);
});

test("a passport that was overheard is of no use without its key", async () => {
  const { member } = await enrolled();
  const thief = fleet.clientOf(issueCallProof(createKey(), member.passport(), Date.now()));
  const call = thief.builder.lease({ builder: "b1" });
  await expect(call).rejects.toMatchObject({ code: "passport_peer_wrong" });
  const bare = fleet.clientOf(member.passport()).builder.lease({ builder: "b1" });
  await expect(bare).rejects.toMatchObject({ code: "call_invalid" });
});
