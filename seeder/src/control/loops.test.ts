// A seeder's life with a control plane that answers over real HTTP, goes away, comes back and forgets.
import { serve } from "@hono/node-server";
import { createClient } from "@shoal/api/client";
import {
  admissions,
  seederReport,
  type Admission,
  type JoinTokens,
  type Plan,
  type SeederReport,
} from "@shoal/api/seeder";
import type { TrustState } from "@shoal/api/trust";
import { longPollMsMax } from "@shoal/core/limits";
import { StateFile } from "@shoal/daemon/atomic-file";
import type { JoinOptions, PeerNode } from "@shoal/peer/peer-node";
import { createKey } from "@shoal/trust/key-file";
import { MemberKeeper } from "@shoal/trust/member-keeper";
import { Hono } from "hono";
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeArtifact, makeRelease, TestFleet } from "../fleet.test-kit.ts";
import {
  publish,
  silentLog,
  startTestSeeder,
  stopAll,
  temporaryFolder,
  until,
  type Stops,
  type TestSeeder,
} from "../seeder.test-kit.ts";
import { startControlLoops, type ControlLoops } from "./loops.ts";
import { RegionMembership } from "./region-membership.ts";

const stops: Stops = [];
const fleet = new TestFleet();
const artifact = makeArtifact(1, 20);
let north: TestSeeder;
beforeEach(async () => {
  north = await startTestSeeder({ fleet, stops });
  await publish(await north.client(await fleet.ingestGrant()), fleet, artifact);
});
afterEach(() => stopAll(stops));

/** The four calls of a seeder, as docs/PROTOCOL.md 4 has them, over a state that the test sets. */
class ControlPlane {
  readonly reports: SeederReport[] = [];
  registrations = 0;
  passports = 0;
  trust: TrustState | null = null;
  joinTokens: JoinTokens["items"] = [];
  readonly admissions: Admission[] = [];
  knowsSeeder = false;
  #plan: Plan;
  #wakes: (() => void)[] = [];
  #server: Server | undefined;
  port = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  change(changes: Partial<Plan>): void {
    this.#plan = { ...this.#plan, ...changes, version: `${this.#plan.version}+` };
    for (const wake of this.#wakes.splice(0)) wake();
  }

  latest(): SeederReport | undefined {
    return this.reports.at(-1);
  }

  async start(): Promise<void> {
    const app = new Hono();
    app.post("/v1/seeder/register", (context) => {
      this.registrations += 1;
      this.knowsSeeder = true;
      return context.json({ region: "south", delegation: `delegation ${this.registrations}` });
    });
    for (const path of ["/v1/members/join", "/v1/members/passport"]) {
      app.post(path, (context) => {
        this.passports += 1;
        const expiresAtMs = Date.now() + 86_400_000_000;
        return context.json({
          passport: `passport ${this.passports}`,
          region: "south",
          expiresAtMs,
        });
      });
    }
    app.get("/v1/seeder/trust", (context) => context.json(this.trust ?? {}));
    app.get("/v1/seeder/join-tokens", (context) => context.json({ items: this.joinTokens }));
    app.post("/v1/seeder/admissions", async (context) => {
      this.admissions.push(...admissions.parse(await context.req.json()).items);
      return context.body(null, 204);
    });
    app.get("/v1/seeder/plan", async (context) => {
      if (context.req.query("known") === this.#plan.version)
        await new Promise<void>((resolve) => {
          this.#wakes.push(resolve);
          setTimeout(resolve, longPollMsMax).unref();
        });
      if (context.req.query("known") === this.#plan.version) return context.body(null, 304);
      return context.json(this.#plan);
    });
    app.post("/v1/seeder/report", async (context) => {
      if (!this.knowsSeeder) {
        const type = { "content-type": "application/problem+json" };
        const code = "seeder_not_registered";
        const problem = {
          type: "",
          title: "",
          status: 409,
          code,
          requestId: "1",
          retryable: false,
        };
        return context.body(JSON.stringify(problem), 409, type);
      }
      this.reports.push(seederReport.parse(await context.req.json()));
      return context.body(null, 204);
    });
    this.#server = serve({ fetch: app.fetch, port: this.port, hostname: "127.0.0.1" });
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server as (Server & { closeAllConnections(): void }) | undefined;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }
}

/** The swarm as far as a seeder sees it: what it joined and left. */
class JoinedArtifacts implements Pick<PeerNode, "addresses" | "join"> {
  readonly joined: Map<string, JoinOptions> = new Map();

  addresses(): readonly string[] {
    return ["/ip4/127.0.0.1/tcp/4001"];
  }

  join(options: JoinOptions): ReturnType<PeerNode["join"]> {
    this.joined.set(options.cid, options);
    return {
      addPeers: () => undefined,
      setPaused: () => undefined,
      reused: () => undefined,
      reuseFailed: () => undefined,
      progress: () => {
        throw new Error("a seeder fetches nothing");
      },
      done: Promise.resolve(),
      leave: async () => {
        this.joined.delete(options.cid);
      },
    };
  }
}

interface South {
  readonly seeder: TestSeeder;
  readonly control: ControlPlane;
  readonly node: JoinedArtifacts;
  readonly loops: ControlLoops;
  readonly membership: RegionMembership;
}

async function makePlan(): Promise<Plan> {
  const source = { region: "north", url: north.url, peerId: north.key.peerId };
  return {
    version: "1",
    region: "south",
    trustEdition: "",
    goals: [],
    artifacts: [{ cid: artifact.cid, project: "web", sources: [source] }],
    grant: await fleet.grant({ scope: "pull", regions: ["north"] }),
    seeders: [],
  };
}

async function startSouth(folder: string, control: ControlPlane): Promise<South> {
  const file = new StateFile(join(folder, "membership.json"), 100_000);
  const membership = new RegionMembership({ file, log: silentLog() });
  await membership.load();
  const seeder = await startTestSeeder({ fleet, stops, region: "south", folder });
  const node = new JoinedArtifacts();
  const url = `http://127.0.0.1:${control.port}`;
  const client = createClient({ url, token: () => member.callProof() });
  const member = new MemberKeeper(
    {
      key: seeder.key,
      client: () => client.members,
      file: new StateFile(join(folder, "member.json"), 100_000),
      now: () => Date.now(),
      random: Math.random,
      log: silentLog(),
    },
    { role: "seeder", name: "seeder-1", joinToken: "secret" },
  );
  await member.load();
  const loops = startControlLoops(
    { ...seeder.deps, client, node, member, membership, admissions: seeder.admissions },
    { url: seeder.url, dropAfterMs: 3_600_000 },
  );
  seeder.deps.changes.listen(loops);
  stops.push(() => loops.stop());
  return { seeder, control, node, loops, membership };
}

async function start(): Promise<South> {
  const control = new ControlPlane(await makePlan());
  await control.start();
  stops.push(() => control.stop());
  return startSouth(await temporaryFolder(stops), control);
}

function southGoal(generation: number, changes = {}): ReturnType<TestFleet["goal"]> {
  return fleet.goal({ region: "south", generation, ...changes });
}

test("a planned artifact is pulled and reported at once", async () => {
  const { control } = await start();
  await until(() => control.latest()?.held.includes(artifact.cid) === true);
  expect(control.registrations).toBeGreaterThan(0);
});

test("a goal reaches a waiting host and the swarm, and is counted with, at once", async () => {
  const { seeder, control, node } = await start();
  await until(() => seeder.deps.store.get(artifact.cid) !== undefined);
  const key = createKey();
  const host = await seeder.client(await fleet.passport(key, { region: "south" }), key);
  const known = (await host.hostGoals({ waitMs: 0 }))?.version ?? "";
  const waiting = host.hostGoals({ known, waitMs: 10_000 });
  const startMs = performance.now();
  control.change({ goals: [southGoal(3, { run: makeRelease(artifact.cid) })] });
  expect((await waiting)?.goals).toHaveLength(1);
  await until(() => control.latest()?.services[0]?.generation === 3);
  await until(() => node.joined.has(artifact.cid));
  expect(performance.now() - startMs).toBeLessThan(3000);
  const first = Buffer.concat(artifact.frames.slice(0, 2).map(({ bytes }) => bytes));
  const read = Buffer.alloc(first.length);
  await node.joined.get(artifact.cid)?.storage.readRun(0, 2, read);
  expect(read.equals(first)).toBe(true);

  control.change({ goals: [southGoal(4)] });
  await until(() => !node.joined.has(artifact.cid));
});

test("what a host reports is in the control plane's hands long before the next beat", async () => {
  const { seeder, control } = await start();
  control.change({ goals: [southGoal(1)] });
  await until(() => control.latest()?.services[0]?.generation === 1);
  const key = createKey();
  const host = await seeder.client(await fleet.passport(key, { region: "south" }), key);
  const startMs = performance.now();
  await host.hostReport({ host: "host-1", agentVersion: "1", services: [], fetches: [] });
  await until(() => control.latest()?.services[0]?.reporting === 1);
  // About 60 ms on a quiet machine; the beat without a wake is 10 s.
  expect(performance.now() - startMs).toBeLessThan(2000);
});

test("goals are answered while the control plane is away, also after a restart, and catch up after", async () => {
  const control = new ControlPlane(await makePlan());
  await control.start();
  stops.push(() => control.stop());
  const folder = await temporaryFolder(stops);
  const first = await startSouth(folder, control);
  control.change({
    goals: [southGoal(1)],
    seeders: [{ url: "https://other.example", peerId: north.key.peerId, swarmAddresses: [] }],
  });
  await until(() => control.latest()?.services[0]?.generation === 1);
  await control.stop();
  await first.loops.stop();
  await first.seeder.stop();

  const again = await startSouth(folder, control);
  const key = createKey();
  const host = await again.seeder.client(await fleet.passport(key, { region: "south" }), key);
  expect((await host.hostGoals({ waitMs: 0 }))?.goals).toHaveLength(1);
  expect(again.membership.region()).toBe("south");
  expect(again.membership.seeders()).toMatchObject([{ url: "https://other.example" }]);
  control.change({ goals: [southGoal(2)] });
  await control.start();
  await until(() => control.latest()?.services[0]?.generation === 2);
});

test("a control plane that was restored and has never heard of the seeder is told where it is", async () => {
  const { control, loops } = await start();
  await until(() => control.reports.length > 0);
  const [registrations, reports] = [control.registrations, control.reports.length];
  control.knowsSeeder = false;
  loops.report();
  await until(() => control.reports.length > reports);
  expect(control.registrations).toBeGreaterThan(registrations);
});

test("an artifact with a damaged chunk is taken back and pulled again", async () => {
  const { seeder, control } = await start();
  const { store } = seeder.deps;
  await until(() => control.latest()?.held.length === 1);
  const edition = store.edition();
  expect(store.dropDamaged()).toEqual([]);
  await store.chunks.collect(() => false);
  await store.chunks.collect(() => false);
  await store.chunks.collect(() => false);
  expect(store.chunks.chunksCount).toBe(0);
  control.change({});
  await until(() => store.edition() >= edition + 2 && store.get(artifact.cid) !== undefined);
  expect(store.chunks.chunksCount).toBe(20);
});
