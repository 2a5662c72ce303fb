import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StateFile } from "@shoal/daemon/atomic-file";
import { createCertificate } from "@shoal/trust/certificate";
import { signGoal } from "@shoal/trust/goal-envelope";
import { createKey } from "@shoal/trust/key-file";
import { signTrustDocument, trustKeyOf, type TrustDocument } from "@shoal/trust/trust-document";
import { describe, expect, onTestFinished, test } from "vitest";
import { HostGoals } from "./goals.ts";
import {
  makeArtifact,
  nowMs,
  problem,
  startTestSeeder,
  TestRegion,
  type TestSeeder,
} from "./region.test-kit.ts";
import { goal, release, runSpec } from "./releases.test-kit.ts";
import { Seeders } from "./seeders.ts";
import { silentLog, testFolder } from "./test-folder.test-kit.ts";

interface Host {
  readonly region: TestRegion;
  readonly seeder: TestSeeder;
  readonly goals: HostGoals;
  readonly file: string;
  readonly follow: () => Promise<boolean>;
  readonly restart: () => Promise<HostGoals>;
  labels: Record<string, string>;
  readonly clock: { now: number };
}

async function openHost(): Promise<Host> {
  const region = new TestRegion();
  const seeder = await startTestSeeder(region);
  const seeders = new Seeders(
    { certificate: await createCertificate(createKey()), passport: () => "" },
    [seeder],
  );
  onTestFinished(() => seeders.close());
  const file = join(await testFolder(), "goals.json");
  const trust = await region.keeper();
  const clock = { now: nowMs };
  const open = async (): Promise<HostGoals> => {
    const goals = new HostGoals({
      file: new StateFile(file, 1_000_000),
      seeders,
      trust,
      now: () => clock.now,
      region: "north",
      passport: () => ({ labels: host.labels, environment: "production" }),
      log: silentLog,
    });
    await goals.load();
    return goals;
  };
  const host: Host = {
    region,
    seeder,
    goals: await open(),
    file,
    follow: () => host.goals.follow(new AbortController().signal),
    restart: open,
    labels: {},
    clock,
  };
  return host;
}

const v1 = release(runSpec("v1"));
const v2 = release(runSpec("v2"));
const known = (goals: HostGoals): readonly string[] =>
  goals
    .goals()
    .map(({ goal: { service, epoch, generation } }) => `${service} ${epoch}.${generation}`);

describe("goals", () => {
  test("are taken when signed, and newer ones replace older ones", async () => {
    const host = await openHost();
    host.region.setGoals(goal(1, { run: v1 }));
    expect(await host.follow()).toBe(true);
    expect(await host.follow()).toBe(false);
    host.region.setGoals(goal(2, { run: v2, fallback: v1 }), goal(1, { service: "api" }));
    expect(await host.follow()).toBe(true);
    expect(known(host.goals)).toEqual(["web 1.2", "api 1.1"]);
  });

  test("older than the one known are refused, whatever their signature", async () => {
    const host = await openHost();
    host.region.setGoals(goal(5, { epoch: 2, run: v2 }));
    await host.follow();
    host.region.setGoals(goal(4, { epoch: 2, run: v1 }));
    expect(await host.follow()).toBe(false);
    host.region.setGoals(goal(9, { epoch: 1, run: v1 }));
    expect(await host.follow()).toBe(false);
    expect(known(host.goals)).toEqual(["web 2.5"]);
    expect(known(await host.restart())).toEqual(["web 2.5"]);
  });

  test("on disk are acted on after a reboot with an expired trust document, and nothing new is believed", async () => {
    const host = await openHost();
    host.region.setGoals(goal(1, { run: v1 }));
    await host.follow();
    host.clock.now = Date.parse(host.region.trust.expires) + 60_000;
    const restarted = await host.restart();
    expect(known(restarted)).toEqual(["web 1.1"]);
    host.region.setGoals(goal(2, { run: v2, fallback: v1 }));
    expect(await restarted.follow(new AbortController().signal)).toBe(false);
    expect(known(restarted)).toEqual(["web 1.1"]);
  });

  test("signed with a key that only the newest trust document names are believed at once", async () => {
    const host = await openHost();
    const { signers, trust } = host.region;
    const { stranger } = signers;
    host.region.goals = [signGoal(stranger, goal(1, { run: v1 }))];
    host.region.goalsVersion += 1;
    expect(await host.follow()).toBe(false);
    const newer: TrustDocument = {
      ...trust,
      version: trust.version + 1,
      keys: [...trust.keys, trustKeyOf(stranger.publicKey, trust.expires)],
      goals: [{ key: stranger.keyId, environments: ["production"] }],
    };
    const documents = [signTrustDocument(signers.root, newer)];
    host.region.trustState = { documents, revocations: [] };
    host.region.goalsVersion += 1;
    expect(await host.follow()).toBe(true);
    expect(known(host.goals)).toEqual(["web 1.1"]);
    // Who holds the old key says nothing any more.
    host.region.setGoals(goal(2, { run: v2 }));
    expect(await host.follow()).toBe(false);
  });

  test("stay when an answer leaves them out", async () => {
    const host = await openHost();
    host.region.setGoals(goal(1, { run: v1 }));
    await host.follow();
    host.region.setGoals();
    expect(await host.follow()).toBe(false);
    expect(known(host.goals)).toEqual(["web 1.1"]);
  });

  test.for([
    ["a stranger's key", (region: TestRegion) => signGoal(region.signers.stranger, goal(1, {}))],
    ["a builder's key", (region: TestRegion) => signGoal(region.signers.builder, goal(1, {}))],
    ["an expired key", (region: TestRegion) => signGoal(region.signers.expired, goal(1, {}))],
    [
      "another region",
      (region: TestRegion) => signGoal(region.signers.goals, goal(1, { region: "south" })),
    ],
    [
      "an environment that the key isn't for",
      (region: TestRegion) => signGoal(region.signers.goals, goal(1, { environment: "staging" })),
    ],
    [
      "a release whose id isn't its content's",
      (region: TestRegion) =>
        signGoal(region.signers.goals, goal(1, { run: { ...v1, commit: "d".repeat(40) } })),
    ],
    [
      "a payload that was changed after signing",
      (region: TestRegion) => ({
        ...signGoal(region.signers.goals, goal(1, {})),
        payload: signGoal(region.signers.goals, goal(2, {})).payload,
      }),
    ],
  ] as const)("of %s are refused, and the others of the answer count", async ([, forge]) => {
    const host = await openHost();
    host.region.setGoals(goal(1, { service: "api" }));
    host.region.goals.unshift(forge(host.region));
    await host.follow();
    expect(known(host.goals)).toEqual(["api 1.1"]);
  });

  test("of a service that doesn't select this host are known and not for it", async () => {
    const host = await openHost();
    host.region.setGoals(goal(1, { run: v1, selector: { tier: "edge" } }));
    await host.follow();
    expect(host.goals.goals().map(({ selected }) => selected)).toEqual([false]);
    host.labels = { tier: "edge", size: "large" };
    expect(host.goals.goals().map(({ selected }) => selected)).toEqual([true]);
  });

  test("are there after a restart, with their statements, while no seeder answers", async () => {
    const host = await openHost();
    const artifact = host.region.add(makeArtifact(1, 1));
    const run = release(runSpec("v1"), artifact.cid);
    host.region.setGoals(goal(1, { run }));
    await host.follow();
    await host.seeder.stop();
    const later = await host.restart();
    expect(known(later)).toEqual(["web 1.1"]);
    expect(later.statement(artifact.cid)).toEqual(host.region.statements.get(artifact.cid));
    expect(later.names(artifact.cid, "production")).toBe(true);
    expect(later.names(artifact.cid, "staging")).toBe(false);
    await expect(host.follow()).rejects.toMatchObject({ retryable: true });
  });

  test.for(["", "{", '{"format":"shoal.host-goals/v9"}', "null"])(
    "on disk that can't be read are as good as none: %s",
    async (content) => {
      const host = await openHost();
      await writeFile(host.file, content);
      expect(known(await host.restart())).toEqual([]);
    },
  );

  test("on disk are verified again: a file isn't trusted more than a seeder", async () => {
    const host = await openHost();
    host.region.setGoals(goal(1, { run: v1 }));
    await host.follow();
    const file = JSON.parse(await readFile(host.file, "utf8")) as { goals: unknown[] };
    file.goals = [signGoal(host.region.signers.stranger, goal(9, { run: v2 }))];
    await writeFile(host.file, JSON.stringify(file));
    expect(known(await host.restart())).toEqual([]);
  });
});

describe("seeders", () => {
  test("are asked one after another; the one that answered is asked first the next time", async () => {
    const region = new TestRegion();
    const [a, b] = [await startTestSeeder(region), await startTestSeeder(region)];
    const certificate = await createCertificate(createKey());
    const seeders = new Seeders({ certificate, passport: () => "" }, [a, b]);
    onTestFinished(() => seeders.close());
    const { signal } = new AbortController();
    const ask = (): Promise<unknown> =>
      seeders.ask((client) => client.hostGoals({ waitMs: 0 }, { signal }), signal);
    a.answer = () => problem(503, "not_ready");
    await ask();
    a.answer = () => undefined;
    await ask();
    expect([a.asked.length, b.asked.length]).toEqual([1, 2]);
    await b.stop();
    await ask();
    expect(a.asked.length).toBe(2);
  });

  test("that aren't who they should be get nothing, and what one said goes before who wasn't there", async () => {
    const region = new TestRegion();
    const [a, b] = [await startTestSeeder(region), await startTestSeeder(region)];
    const certificate = await createCertificate(createKey());
    const imposter = { url: a.url, peerId: b.peerId };
    const seeders = new Seeders({ certificate, passport: () => "" }, [imposter]);
    onTestFinished(() => seeders.close());
    const { signal } = new AbortController();
    const ask = seeders.ask((client) => client.hostGoals({ waitMs: 0 }, { signal }), signal);
    await expect(ask).rejects.toMatchObject({ code: "peer_id_wrong" });
    expect(a.asked).toEqual([]);
  });

  test("that an answer names are forgotten when a later one doesn't; configured ones stay", async () => {
    const certificate = await createCertificate(createKey());
    const address = (port: number) => ({
      url: `https://127.0.0.1:${port}`,
      peerId: createKey().peerId,
    });
    const [configured, learned, newer] = [address(1), address(2), address(3)];
    const seeders = new Seeders({ certificate, passport: () => "" }, [configured]);
    onTestFinished(() => seeders.close());
    seeders.learn([learned]);
    seeders.learn([newer]);
    expect(seeders.addresses()).toEqual([configured, newer]);
    seeders.learn(Array.from({ length: 200 }, (_, index) => address(index)));
    expect(seeders.addresses().length).toBe(64);
  });
});
