import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StateFile } from "@shoal/daemon/atomic-file";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { expect, onTestFinished, test } from "vitest";
import { PassportKeeper, type PassportKeeperConfig } from "./join.ts";
import {
  nowMs,
  passportTtlMs,
  startTestSeeder,
  TestRegion,
  type TestSeeder,
} from "./region.test-kit.ts";
import { Seeders } from "./seeders.ts";
import { silentLog, testFolder } from "./test-folder.test-kit.ts";

interface Host {
  readonly region: TestRegion;
  readonly seeder: TestSeeder;
  readonly file: string;
  now: number;
  readonly open: (parts?: Partial<PassportKeeperConfig>) => Promise<PassportKeeper>;
}

const never = new AbortController().signal;

async function openHost(): Promise<Host> {
  const region = new TestRegion();
  const seeder = await startTestSeeder(region);
  const key = createKey();
  const seeders = new Seeders(
    { certificate: await createCertificate(key), passport: () => opened?.text() ?? "" },
    [seeder],
  );
  let opened: PassportKeeper | undefined;
  onTestFinished(() => seeders.close());
  const file = join(await testFolder(), "passport.json");
  const trust = await region.keeper();
  const host: Host = {
    region,
    seeder,
    file,
    now: nowMs,
    open: async (parts = {}) => {
      const keeper = new PassportKeeper(
        {
          file: new StateFile(file, 65_536),
          seeders: () => seeders,
          trust,
          now: () => host.now,
          random: () => 0.5,
          log: silentLog,
        },
        {
          peerId: key.peerId,
          hostId: "host-a",
          region: "north",
          zone: "a",
          labels: { tier: "edge" },
          joinToken: "good-token",
          ...parts,
        },
      );
      await keeper.load();
      opened = keeper;
      return keeper;
    },
  };
  return host;
}

test("a host joins once with its token and keeps its passport over restarts", async () => {
  const host = await openHost();
  const first = await host.open();
  expect(first.facts()).toBeNull();
  expect(() => first.present()).toThrow("hasn't joined yet");
  expect(await Promise.all([first.ensure(never), first.ensure(never)])).toEqual([true, true]);
  expect(host.region.joins).toEqual([{ host: "host-a", joinToken: "good-token" }]);
  expect(first.present()).toBe(first.text());
  expect(first.facts()).toMatchObject({ host: "host-a", zone: "a", labels: { tier: "edge" } });
  const second = await host.open({ joinToken: undefined });
  expect(second.text()).toBe(first.text());
  expect(await second.ensure(never)).toBe(false);
});

test("a passport is renewed when half of its time has gone, and lasts while it can't be", async () => {
  const host = await openHost();
  const keeper = await host.open();
  await keeper.ensure(never);
  host.now = nowMs + passportTtlMs / 2 - 60_000;
  expect(await keeper.ensure(never)).toBe(false);
  host.now = nowMs + passportTtlMs / 2 + 60_000;
  host.seeder.answer = () => ({ status: 503, body: {} });
  await expect(keeper.ensure(never)).rejects.toMatchObject({ code: "http_error" });
  expect(keeper.facts()).not.toBeNull();
  host.seeder.answer = () => undefined;
  expect(await keeper.ensure(never)).toBe(true);
  expect(host.region.joins.length).toBe(1);
  expect(host.region.renewals).toBe(1);
});

test("a passport that was short from the start isn't renewed at every look", async () => {
  const host = await openHost();
  host.region.passportTtlMs = 3_600_000;
  const keeper = await host.open();
  await keeper.ensure(never);
  host.now = nowMs + 300_000;
  expect(await keeper.ensure(never)).toBe(false);
  host.now = nowMs + 900_000;
  expect(await keeper.ensure(never)).toBe(true);
});

test.for([
  ["a token that nobody gave", { joinToken: "bad-token" }, "join_token_invalid"],
  ["no token", { joinToken: undefined }, "join_token_missing"],
  ["a token of another region", { region: "south" }, "passport_host_wrong"],
  ["a passport of another key", { peerId: createKey().peerId }, "passport_peer_wrong"],
] as const)("a host doesn't join with %s", async ([, parts, code]) => {
  const host = await openHost();
  const keeper = await host.open(parts);
  await expect(keeper.ensure(never)).rejects.toMatchObject({ code });
  expect(keeper.facts()).toBeNull();
});

test("a passport on disk that is of no use is replaced", async () => {
  const host = await openHost();
  await writeFile(host.file, '{"format":"shoal.host-passport/v1","passport":"nonsense"}');
  const keeper = await host.open();
  expect(keeper.text()).toBe("");
  expect(await keeper.ensure(never)).toBe(true);
});

test("a passport that ended while the host was off still says which goals are its own", async () => {
  const host = await openHost();
  await (await host.open()).ensure(never);
  for (const now of [nowMs + 2 * passportTtlMs, Date.parse(host.region.trust.expires) + 60_000]) {
    host.now = now;
    const keeper = await host.open({ joinToken: undefined });
    expect(keeper.facts()).toMatchObject({ labels: { tier: "edge" }, expiresAtMs: 0 });
    await expect(keeper.ensure(never)).rejects.toMatchObject({ code: "join_token_missing" });
  }
  // A host that is configured to be another one has no passport.
  expect((await host.open({ region: "south" })).facts()).toBeNull();
});
