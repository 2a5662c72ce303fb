// Random interleavings of everything that can happen to builds, against a real Postgres: after every
// step the database is looked at, and what builders were told is compared with it.
import { equal } from "node:assert/strict";
import fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import { buildTransitions, isFinalBuildState } from "@shoal/core/build/state";
import type { BuildState } from "@shoal/core/build/state";
import { adoptDatabase } from "./operations/adopt-database.ts";
import { endAttempt, extendLeases } from "./db/build-queue.ts";
import type { Claim } from "./db/claims.ts";
import { cancelBuild, retryBuild, startBuild } from "./operations/build-requests.ts";
import { failAttempt, proveCancelled } from "./operations/end-attempt.ts";
import { claimBuild } from "./operations/lease-build.ts";
import { reapCancels, reapLeases } from "./operations/reap-builds.ts";
import { type TestFleet, TestServer, commitFor, startFleet } from "./test-fleet.ts";

const runs = Number(process.env["SHOAL_MODEL_RUNS"] ?? 8);
/** On a machine that others use too, of one run with its database. */
const runMsMax = 30_000;

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

type Step =
  | { readonly type: "start"; readonly commit: number; readonly project: number }
  | { readonly type: "claim" | "claimAll"; readonly builder: number }
  | { readonly type: "beat" | "fail" | "failOurs" | "publish" | "prove"; readonly claim: number }
  | { readonly type: "cancel" | "retry"; readonly build: number }
  | { readonly type: "silence" | "clockForward" | "clockBack" | "restore" | "restart" | "reap" };

const small = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("start"), commit: small, project: fc.nat(1) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constantFrom("claim", "claimAll"), builder: fc.nat(3) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constantFrom("beat", "fail", "failOurs", "publish", "prove"),
      claim: fc.nat(20),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("cancel", "retry"), build: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom("silence", "clockForward", "clockBack", "restore", "restart", "reap"),
    }),
  },
) as fc.Arbitrary<Step>;

test(
  "keeps every promise under random interleavings, restores and clock jumps",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
        await using fleet = await startFleet(server);
        const world = new World(fleet);
        await world.prepare();
        for (const next of steps) {
          await world.take(next);
          await world.check(next);
        }
      }),
      { numRuns: runs },
    );
  },
  runs * runMsMax,
);

class World {
  readonly #fleet: TestFleet;
  readonly #claims: (Claim & { readonly builder: string })[] = [];
  readonly #builds: number[] = [];
  readonly #fences = new Set<string>();
  /** Last seen states, to know which transitions happened. */
  #states = new Map<number, BuildState>();
  /** The fence that was told to have ended a build. */
  readonly #ended = new Map<number, string>();

  constructor(fleet: TestFleet) {
    this.#fleet = fleet;
  }

  async prepare(): Promise<void> {
    const { admin } = this.#fleet;
    await admin.regions.create({ name: "east", home: true });
    for (const [name, buildsRunningMax] of [
      ["p0", 2],
      ["p1", null],
    ] as const) {
      await admin.projects.create({
        name,
        remoteUrl: "/srv/x",
        buildCommand: "make",
        artifactPath: "out",
        buildsRunningMax,
      });
    }
  }

  async take(next: Step): Promise<void> {
    const { deps, database } = this.#fleet;
    const ignore = (): undefined => undefined;
    switch (next.type) {
      case "start": {
        const { build } = await startBuild(deps, {
          project: `p${next.project}`,
          commit: commitFor(`c${next.commit}`),
          priority: next.commit % 2,
          force: false,
        });
        if (!this.#builds.includes(build.id)) this.#builds.push(build.id);
        return;
      }
      case "claim":
        return this.#claim(`b${next.builder}`);
      case "claimAll":
        await Promise.all(["b0", "b1", "b2", "b3", "b3"].map((name) => this.#claim(name)));
        return;
      case "cancel":
      case "retry": {
        const id = this.#builds[next.build % Math.max(1, this.#builds.length)];
        if (id === undefined) return;
        if (next.type === "cancel") await cancelBuild(deps, id).catch(ignore);
        else await retryBuild(deps, id).then(({ build }) => this.#builds.push(build.id), ignore);
        return;
      }
      case "silence":
        await database`update leases set beat_at = beat_at - interval '1 hour'`;
        return;
      case "clockForward":
      case "clockBack": {
        const by = next.type === "clockForward" ? "-1 hour" : "1 hour";
        await database`update leases set beat_at = beat_at + ${by}::interval`;
        await database`update builds set not_before = not_before + ${by}::interval,
          deadline_at = deadline_at + ${by}::interval`;
        return;
      }
      case "restore":
      case "restart": {
        await database`update fleet set server = 'before'`;
        const known = next.type === "restart" ? { server: "before", logBytes: 0 } : null;
        const watermark = { read: async () => known, write: async () => undefined };
        await adoptDatabase({ ...deps, watermark });
        return;
      }
      case "reap":
        await reapLeases(deps);
        await reapCancels(deps);
        return;
      default:
        await this.#call(next.type, next.claim);
    }
  }

  async #claim(builder: string): Promise<void> {
    const claim = await claimBuild(this.#fleet.deps, { builder, holder: builder, labels: {} });
    if (claim === null) return;
    equal(this.#fences.has(claim.fence), false, "a fence is given once");
    this.#fences.add(claim.fence);
    this.#claims.push({ ...claim, builder });
  }

  /** A call of a builder with a lease that may be long gone. */
  async #call(type: "beat" | "fail" | "failOurs" | "publish" | "prove", at: number): Promise<void> {
    const claim = this.#claims[at % Math.max(1, this.#claims.length)];
    if (claim === undefined) return;
    const { deps, database } = this.#fleet;
    const lease = { build: claim.build, fence: claim.fence, holder: claim.builder };
    const alive = await this.#alive(claim.fence);
    const before = this.#states.get(claim.build);
    let changed = false;
    if (type === "beat") {
      const [kept] = await extendLeases(database, [lease]);
      equal(kept !== null, alive, "only a live lease beats");
      return;
    }
    if (type === "publish") {
      const end = { event: "published", outcome: "published", deadlineInMs: 60_000 } as const;
      changed = (await endAttempt(database, lease, end)) !== null;
    } else if (type === "prove") {
      const input = { fence: claim.fence };
      changed = await proveCancelled(deps, lease, input).then(
        () => alive,
        () => false,
      );
    } else {
      const blame = type === "fail" ? "user" : "system";
      const failure = { code: "x", message: "x", blame } as const;
      const how = { cause: "failedByUs", outcome: "failed" } as const;
      changed =
        (await failAttempt(deps, { ...lease, attempt: claim.attempt }, failure, how)) !== null;
    }
    const allowed = type === "prove" ? "CANCELLING" : "BUILDING";
    equal(changed, alive && before === allowed, `${type} of a ${alive ? "live" : "dead"} lease`);
    if (changed && type !== "failOurs") {
      equal(this.#ended.has(claim.build), false, "an end is told once");
      this.#ended.set(claim.build, claim.fence);
    }
  }

  async #alive(fence: string): Promise<boolean> {
    const rows = await this.#fleet.database`select from leases where fence = ${fence}::bigint`;
    return rows.length > 0;
  }

  /** What holds between any two steps. */
  async check(after: Step): Promise<void> {
    const { database } = this.#fleet;
    const builds = await database<
      { id: number; state: BuildState; held: number; ended: boolean }[]
    >`
      select id, state, ended_at is not null as ended,
        (select count(*)::int from leases l where l.build = b.id) as held from builds b`;
    for (const { id, state, held, ended } of builds) {
      equal(held, state === "BUILDING" || state === "CANCELLING" ? 1 : 0, `${state} is held`);
      equal(ended, isFinalBuildState(state), `${state} has an end`);
      const before = this.#states.get(id) ?? "QUEUED";
      if (before !== state) equal(reachable(before, state, after), true, `${before} to ${state}`);
    }
    const [facts] = await database`
      select (select count(*) from leases where project = 'p0')::int as capped,
        (select count(*) from attempts where ended_at is null)::int as open,
        (select count(*) from leases)::int as leases`;
    equal(Number(facts?.["capped"]) <= 2, true, "the cap is exact");
    equal(facts?.["open"], facts?.["leases"], "open attempts are leases");
    this.#states = new Map(builds.map(({ id, state }) => [id, state]));
  }
}

/** One step may take a build through several transitions, as when it is freed and claimed again. */
function reachable(from: BuildState, to: BuildState, after: Step): boolean {
  const next = Object.values(buildTransitions[from]);
  if (next.includes(to)) return true;
  if (after.type !== "claim" && after.type !== "claimAll") return false;
  return next.some((middle) => Object.values(buildTransitions[middle]).includes(to));
}
