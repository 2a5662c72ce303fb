// Passports at a seeder: renewed by showing one, given for a join token while the control plane is down,
// refused once revoked. Over real mutual TLS.
import { ShoalError } from "@shoal/core/error";
import type { JoinTokens } from "@shoal/api/seeder";
import { hourMs } from "@shoal/core/units";
import { issueDelegation } from "@shoal/trust/delegation";
import { createKey, type KeyFile } from "@shoal/trust/key-file";
import { swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { signRevocations } from "@shoal/trust/revocations";
import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { startMs, TestFleet } from "../fleet.test-kit.ts";
import {
  codeOf,
  startTestSeeder,
  stopAll,
  temporaryFolder,
  type Stops,
  type TestSeeder,
  type TestSeederOptions,
} from "../seeder.test-kit.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));
const fleet = new TestFleet();

const delegation = ({ peerId }: KeyFile): Promise<string> =>
  issueDelegation(fleet.papers, { peerId, region: "north" }, hourMs, startMs);
const down = (): Promise<never> =>
  Promise.reject(
    new ShoalError("control_plane_unreachable", "down", { blame: "environment", retryable: true }),
  );
const tokenOf = (text: string, usesLeft = 1): JoinTokens["items"][number] => ({
  hash: createHash("sha256").update(text).digest("hex"),
  environment: "production",
  labels: { pool: "web" },
  usesLeft,
  expiresAtMs: startMs + hourMs,
});

function start(options: Partial<TestSeederOptions> = {}): Promise<TestSeeder> {
  return startTestSeeder({ fleet, stops, delegation, askControlPlane: down, ...options });
}

async function factsOf(seeder: TestSeeder, passport: string, { peerId }: KeyFile) {
  const { keeper } = seeder.trust;
  const { isRevoked } = keeper;
  return verifyPassport(passport, keeper.document(), {
    nowMs: startMs,
    peerId,
    roles: swarmRoles,
    isRevoked,
  });
}

test("a host that shows a good passport gets the next one, with the same facts", async () => {
  const seeder = await start();
  const key = createKey();
  const labels = { pool: "web" };
  const client = await seeder.client(await fleet.passport(key, { labels, zone: "z" }), key);
  const next = await factsOf(seeder, (await client.renew()).passport, key);
  expect(next).toMatchObject({ labels, zone: "z", host: "host-1", issuer: seeder.key.peerId });
  // And with that one the one after it.
  const again = await seeder.client((await client.renew()).passport, key);
  expect(await factsOf(seeder, (await again.renew()).passport, key)).toMatchObject({ labels });
});

test("a seeder without leave renews nothing, and nobody renews as a seeder", async () => {
  const key = createKey();
  const passport = await fleet.passport(key);
  const without = await startTestSeeder({ fleet, stops });
  expect(await codeOf((await without.client(passport, key)).renew())).toBe("delegation_missing");
  const seeder = await start();
  const papers = await fleet.passport(key, { role: "seeder", environment: null });
  expect(await codeOf((await seeder.client(papers, key)).renew())).toBe("forbidden");
});

test("a token lets in as many hosts as it says while the control plane is down, also over a restart", async () => {
  const folder = await temporaryFolder(stops);
  const joinTokens = [tokenOf("two", 2)];
  const seeder = await start({ joinTokens, folder });
  const join = async (at: TestSeeder, key: KeyFile) =>
    (await at.client("", key)).join({ joinToken: "two", host: "host-9" });
  const [first, second, third] = [createKey(), createKey(), createKey()];
  const { passport } = await join(seeder, first);
  expect(await factsOf(seeder, passport, first)).toMatchObject({
    host: "host-9",
    environment: "production",
    labels: { pool: "web" },
    role: "host",
  });
  // The same host again costs nothing.
  await join(seeder, first);
  const restarted = await start({ folder });
  await join(restarted, second);
  expect(await codeOf(join(restarted, third))).toBe("join_token_used_up");
  expect(restarted.admissions.untold().map(({ peerId }) => peerId)).toEqual([
    first.peerId,
    second.peerId,
  ]);
});

test.for([
  ["that nobody made", { joinToken: "guess" }, "join_token_invalid"],
  ["with another value of its label", { labels: { pool: "db" } }, "join_labels_wrong"],
  ["that has ended", { joinToken: "old" }, "join_token_expired"],
] as const)(
  "a token %s lets nobody in while the control plane is down",
  async ([, change, code]) => {
    const old = { ...tokenOf("old"), expiresAtMs: startMs };
    const seeder = await start({ joinTokens: [tokenOf("good"), old] });
    const client = await seeder.client("", createKey());
    expect(await codeOf(client.join({ joinToken: "good", host: "host-9", ...change }))).toBe(code);
    expect(seeder.admissions.untold()).toEqual([]);
  },
);

test("what the control plane refuses isn't let in behind its back", async () => {
  const refuse = (): Promise<never> =>
    Promise.reject(new ShoalError("join_token_used_up", "no", { blame: "remote" }));
  const seeder = await start({ joinTokens: [tokenOf("good")], askControlPlane: refuse });
  const client = await seeder.client("", createKey());
  const call = client.join({ joinToken: "good", host: "host-9" });
  expect(await codeOf(call)).toBe("join_token_used_up");
});

test("a control plane that comes back hears who was let in before it counts the token again", async () => {
  const asked: string[] = [];
  let isDown = true;
  const seeder = await start({
    joinTokens: [tokenOf("good")],
    tellAdmissions: async () => {
      asked.push("told");
    },
    askControlPlane: async ({ host }) => {
      if (isDown) return down();
      asked.push(host);
      return { passport: "p" };
    },
  });
  const join = async (host: string) =>
    (await seeder.client("", createKey())).join({ joinToken: "good", host });
  await join("host-1");
  isDown = false;
  await join("host-2");
  expect(asked).toEqual(["told", "host-2"]);
});

test("a revoked host is refused at once, also in a call that waits, and gets no next passport", async () => {
  const seeder = await start();
  const key = createKey();
  const client = await seeder.client(await fleet.passport(key), key);
  const known = (await client.hostGoals({ waitMs: 0 }))?.version ?? "";
  const waiting = codeOf(client.hostGoals({ known, waitMs: 10_000 }));
  const list = signRevocations(fleet.papers, {
    format: "shoal.revocations/v1",
    epoch: 1,
    version: 1,
    issuedAt: new Date(startMs).toISOString(),
    peers: [{ peerId: key.peerId, until: new Date(startMs + hourMs).toISOString() }],
  });
  const { keeper } = seeder.trust;
  await keeper.take({ documents: keeper.state().documents, revocations: [list] });
  seeder.deps.changes.goals();
  expect(await waiting).toBe("passport_revoked");
  expect(await codeOf(client.hostGoals({ waitMs: 0 }))).toBe("passport_revoked");
  expect(await codeOf(client.renew())).toBe("passport_revoked");
  // Whoever it was, it may still learn whom to believe.
  expect((await client.trust()).revocations).toEqual([list]);
});

test("hosts are told that there is something new to believe", async () => {
  const seeder = await start();
  const key = createKey();
  const client = await seeder.client(await fleet.passport(key), key);
  const before = await client.hostGoals({ waitMs: 0 });
  const waiting = client.hostGoals({ known: before?.version ?? "", waitMs: 10_000 });
  const { trust } = seeder;
  const { keeper } = trust;
  await keeper.take({ documents: [trust.sign({ version: 2 })], revocations: [] });
  seeder.deps.changes.goals();
  expect((await waiting)?.trustEdition).toBe(keeper.edition());
  expect(before?.trustEdition).not.toBe(keeper.edition());
  expect((await client.trust()).documents).toEqual(keeper.state().documents);
});
