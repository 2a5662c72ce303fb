// What hosts ask a seeder, over real mutual TLS: joining, goals, reports, peers.
import { callerRefusal } from "@shoal/api/problem";
import { type Blame, ShoalError } from "@shoal/core/error";
import { createSeederClient } from "@shoal/api/seeder-client";
import type { HostReport, HostGoals } from "@shoal/api/seeder";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey, type KeyFile } from "@shoal/trust/key-file";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { afterEach, describe, expect, test } from "vitest";
import { makeArtifact, makeRelease, TestFleet } from "../fleet.test-kit.ts";
import {
  codeOf,
  publish,
  startTestSeeder,
  stopAll,
  type Stops,
  type TestSeeder,
} from "../seeder.test-kit.ts";

const stops: Stops = [];
afterEach(() => stopAll(stops));
const fleet = new TestFleet();
const artifact = makeArtifact(1, 3);
const run = makeRelease(artifact.cid);

function makeReport(host: string, generation = 1): HostReport {
  const status = {
    environment: "production",
    service: "web",
    epoch: 1,
    generation,
    state: "healthy" as const,
    holding: [],
    running: null,
    healthy: false,
    failed: null,
    waitsFor: "",
    port: null,
  };
  return { host, agentVersion: "1", services: [status], fetches: [] };
}

async function applyGoals(
  seeder: TestSeeder,
  ...given: Parameters<TestFleet["goal"]>[0][]
): Promise<void> {
  await seeder.deps.goals.apply(given.map((changes) => fleet.goal(changes)));
  seeder.deps.changes.goals();
}

async function hostOf(
  seeder: TestSeeder,
  facts: Parameters<TestFleet["passport"]>[1] = {},
  key: KeyFile = createKey(),
): ReturnType<TestSeeder["client"]> {
  return seeder.client(await fleet.passport(key, facts), key);
}

function services(answer: HostGoals | null): string[] {
  const names = (answer?.goals ?? []).map(
    ({ payload }): string => JSON.parse(Buffer.from(payload, "base64").toString()).service,
  );
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

describe("goals", () => {
  test("a host gets the goals that select it, and what it needs to believe their artifacts", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const builder = await seeder.client(await fleet.ingestGrant());
    await publish(builder, fleet, artifact);
    const elsewhere = makeRelease(makeArtifact(50, 1).cid);
    await applyGoals(
      seeder,
      { service: "everywhere", run, prepare: [elsewhere] },
      { service: "front", selector: { tier: "front" } },
      { service: "back", selector: { tier: "back" } },
    );
    const host = await hostOf(seeder, { labels: { tier: "front" } });
    const answer = await host.hostGoals({ waitMs: 0 });
    expect(services(answer)).toEqual(["everywhere", "front"]);
    expect(answer?.statements).toEqual({ [artifact.cid]: fleet.statement(artifact.cid) });
  });

  test("a host that waits is told at once, also when only an artifact has arrived", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const host = await hostOf(seeder);
    const first = await host.hostGoals({ waitMs: 0 });
    let waiting = host.hostGoals({ known: first?.version ?? "", waitMs: 10_000 });
    const startMs = performance.now();
    await applyGoals(seeder, { run });
    const second = await waiting;
    expect(services(second)).toEqual(["web"]);
    expect(second?.statements).toEqual({});

    waiting = host.hostGoals({ known: second?.version ?? "", waitMs: 10_000 });
    await publish(await seeder.client(await fleet.ingestGrant()), fleet, artifact);
    expect(Object.keys((await waiting)?.statements ?? {})).toEqual([artifact.cid]);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  test("a host that a changed selector drops is told so, as long as it says that it has the service", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    await applyGoals(seeder, { service: "web", generation: 1 });
    const host = await hostOf(seeder, { host: "h1" });
    const status = {
      environment: "production",
      service: "web",
      epoch: 1,
      generation: 1,
      state: "healthy" as const,
      holding: [],
      running: null,
      healthy: true,
      failed: null,
      waitsFor: "",
      port: null,
    };
    await host.hostReport({ host: "h1", agentVersion: "1", services: [status], fetches: [] });
    await applyGoals(seeder, { service: "web", generation: 2, selector: { tier: "back" } });
    const told = await host.hostGoals({ waitMs: 0 });
    expect(services(told)).toEqual(["web"]);
    // Hosts that never had it hear nothing of it, and it is counted nowhere.
    const other = await hostOf(seeder, { host: "h2" });
    expect(services(await other.hostGoals({ waitMs: 0 }))).toEqual([]);
  });

  test("nothing new is answered as nothing, after the time that the host gave", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    await applyGoals(seeder, {});
    const host = await hostOf(seeder);
    const known = (await host.hostGoals({ waitMs: 0 }))?.version ?? "";
    expect(await host.hostGoals({ known, waitMs: 0 })).toBeNull();
    expect(await host.hostGoals({ known, waitMs: 50 })).toBeNull();
  });

  test("a change that doesn't concern a host leaves it waiting", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const host = await hostOf(seeder);
    const known = (await host.hostGoals({ waitMs: 0 }))?.version ?? "";
    let answered = false;
    const waiting = host.hostGoals({ known, waitMs: 10_000 }).then((answer) => {
      answered = true;
      return answer;
    });
    await applyGoals(seeder, { service: "back", selector: { tier: "back" } });
    // A later request of the same host is answered after the first one was woken.
    expect(services(await (await hostOf(seeder)).hostGoals({ waitMs: 0 }))).toEqual([]);
    expect(answered).toBe(false);
    await applyGoals(seeder, { service: "web" });
    expect(services(await waiting)).toEqual(["web"]);
  });
});

describe("a seeder refuses", () => {
  test("a passport of another key, of another region, forged, or none", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const key = createKey();
    const ask = async (passport: string, certificate?: KeyFile): Promise<string> =>
      codeOf((await seeder.client(passport, certificate)).hostGoals({ waitMs: 0 }));
    expect(await ask(await fleet.passport(createKey()), key)).toBe("passport_peer_wrong");
    expect(await ask(await fleet.passport(key, { region: "south" }), key)).toBe(
      "passport_region_wrong",
    );
    const forger = new TestFleet();
    expect(await ask(await forger.passport(key), key)).toBe("signature_key_unknown");
    expect(await ask(await fleet.passport(key))).toBe("unauthorized");
    expect(await ask(await fleet.ingestGrant(), key)).toBe("passport_invalid");
    seeder.clock.nowMs += 2 * 60 * 60_000;
    expect(await ask(await fleet.passport(key), key)).toBe("passport_expired");
  });

  test("to show a host what no goal of its environment names", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    await publish(await seeder.client(await fleet.ingestGrant()), fleet, artifact);
    const host = await hostOf(seeder);
    const announce = { swarmAddresses: [], share: 0 };
    expect(await codeOf(host.getManifest(artifact.cid))).toBe("not_found");
    expect(await codeOf(host.announce(artifact.cid, announce))).toBe("not_found");

    await applyGoals(seeder, { prepare: [run] });
    expect(await host.getManifest(artifact.cid)).toHaveLength(artifact.manifestBytes.length);
    const tester = await hostOf(seeder, { environment: "testing" });
    expect(await codeOf(tester.getManifest(artifact.cid))).toBe("not_found");
    expect(await codeOf(tester.getStatement(artifact.cid))).toBe("not_found");
  });

  test("a report in the name of another host, or with what nobody knows in it", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const host = await hostOf(seeder, { host: "host-1" });
    expect(await codeOf(host.hostReport(makeReport("host-2")))).toBe("invalid_input");
    const odd = { ...makeReport("host-1"), mood: "fine" };
    expect(await codeOf(host.hostReport(odd))).toBe("invalid_input");
    expect(seeder.deps.hosts.hosts(0)).toEqual([]);
  });

  test("to list hosts for anybody but the bearer of an inspect grant", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    const asker = await seeder.client(await fleet.grant({ scope: "pull", regions: ["north"] }));
    expect(await codeOf(asker.hosts({ limit: 10 }))).toBe("grant_scope_wrong");
  });
});

describe("reports", () => {
  test("what hosts said is listed page by page, each host once", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    for (const name of ["c", "a", "b"]) {
      const key = createKey();
      const host = await hostOf(seeder, { host: name, zone: "zone-1", labels: { is: name } }, key);
      await host.hostReport(makeReport(name));
      await host.hostReport(makeReport(name, 2));
    }
    seeder.clock.nowMs += 500;
    const control = await seeder.client(
      await fleet.grant({ scope: "inspect", regions: ["north"] }),
    );
    const first = await control.hosts({ limit: 2 });
    expect(first.items).toMatchObject([
      { host: "a", region: "north", zone: "zone-1", labels: { is: "a" }, seenMsAgo: 500 },
      { host: "b", services: [{ generation: 2 }] },
    ]);
    const second = await control.hosts({ limit: 2, cursor: first.nextCursor ?? "" });
    expect(second.items.map(({ host }) => host)).toEqual(["c"]);
    expect(second.nextCursor).toBeNull();
  });

  test("only what a report changed is news", async () => {
    const seeder = await startTestSeeder({ fleet, stops });
    let news = 0;
    seeder.deps.changes.listen({ report: () => (news += 1), serve: () => undefined });
    const host = await hostOf(seeder, { host: "host-1" });
    await host.hostReport(makeReport("host-1"));
    await host.hostReport(makeReport("host-1"));
    expect(news).toBe(1);
    await host.hostReport(makeReport("host-1", 2));
    expect(news).toBe(2);
  });
});

test("members are told of each other and of the seeders, near ones first", async () => {
  const seeder = await startTestSeeder({ fleet, stops });
  await publish(await seeder.client(await fleet.ingestGrant()), fleet, artifact);
  await applyGoals(seeder, { run });
  const [one, two] = [createKey(), createKey()];
  const announce = { swarmAddresses: ["/ip4/127.0.0.1/tcp/4001"], share: 0.5 };
  const first = await (await hostOf(seeder, { zone: "z" }, one)).announce(artifact.cid, announce);
  expect(first.peers).toEqual([]);
  const second = await (await hostOf(seeder, {}, two)).announce(artifact.cid, announce);
  expect(second.peers).toEqual([
    { peerId: one.peerId, swarmAddresses: announce.swarmAddresses, zone: "z", seeder: false },
  ]);
  expect(second.againMs).toBeGreaterThan(1000);
});

describe("joining", () => {
  test("the peer id that a host joins with is the one of its connection", async () => {
    const seeder = await startTestSeeder({
      fleet,
      stops,
      askControlPlane: async ({ peerId, host, joinToken }) => ({
        passport: [peerId, host, joinToken].join(" "),
      }),
    });
    const key = createKey();
    const joining = { joinToken: "secret", host: "host-9" };
    const { passport } = await (await seeder.client("", key)).join(joining);
    expect(passport).toBe(`${key.peerId} host-9 secret`);
    expect(await codeOf((await seeder.client("")).join(joining))).toBe("unauthorized");
    const other = { ...joining, peerId: createKey().peerId };
    expect(await codeOf((await seeder.client("", key)).join(other))).toBe("invalid_input");
  });

  const says = (code: string, blame: Blame): ShoalError => new ShoalError(code, "no", { blame });
  test.for([
    // As the client of a 4xx answer says it: this seeder's call was wrong.
    [says("join_token_used_up", "local"), "join_token_used_up"],
    [says("control_plane_unreachable", "environment"), "control_plane_unreachable"],
    [callerRefusal(says("passport_expired", "local")), "seeder_refused"],
  ] as const)("what the control plane says (%s) reaches the host as %s", async ([said, heard]) => {
    const askControlPlane = (): Promise<never> => Promise.reject(said);
    const seeder = await startTestSeeder({ fleet, stops, askControlPlane });
    const host = await seeder.client("", createKey());
    expect(await codeOf(host.join({ joinToken: "t", host: "h" }))).toBe(heard);
  });
});

test("a host whose seeder is somebody else tells it nothing", async () => {
  const seeder = await startTestSeeder({ fleet, stops });
  const key = createKey();
  const certificate = await createCertificate(key);
  const fetch = createPinnedFetch({ peerId: createKey().peerId, certificate });
  stops.push(() => fetch.close());
  const passport = await fleet.passport(key);
  const host = createSeederClient({ url: seeder.url, fetch, token: () => passport });
  expect(await codeOf(host.hostReport(makeReport("host-1")))).toBe("peer_id_wrong");
  expect(seeder.deps.hosts.hosts(0)).toEqual([]);
});
