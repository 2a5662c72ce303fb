// Random fleets, failures, silences, restarts and operators against the engine and the hosts' own
// machine: rollouts end or say what they wait for, and no host ever runs what it shouldn't.
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeModelRelease } from "./model-release.test-kit.ts";
import { ModelHost } from "./model-host.test-kit.ts";
import { ModelSeeder, ModelService } from "./model-service.test-kit.ts";
import type { Goal } from "./goal.ts";
import { Prng } from "../prng.ts";
import type { RegionCounts } from "./rollout-events.ts";
import { type RolloutPolicy, defaultRolloutPolicy } from "./rollout-policy.ts";
import { mayRun } from "./switch-rule.ts";

/** SLOW=1 makes it 1500 fleets instead of 30, in a quarter of an hour at most. */
const runsCount = process.env["SLOW"] === "1" ? 1500 : 30;

const actions = [
  "deploy",
  "deploy",
  "rollback",
  "rollbackInWaves",
  "hold",
  "release",
  "abort",
] as const;

const scenario = fc.record({
  seed: fc.integer(),
  regions: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 3 }),
  isLarge: fc.constantFrom(false, false, false, false, true),
  badReleases: fc.constantFrom(0, 0.3, 0.6),
  badHostShare: fc.constantFrom(0, 0, 0.02, 0.3, 1),
  neverFetchShare: fc.constantFrom(0, 0, 0.02),
  faultShare: fc.constantFrom(0, 0.02, 0.1),
  script: fc.array(fc.tuple(fc.nat({ max: 40 }), fc.constantFrom(...actions)), { maxLength: 8 }),
  policy: fc.record({
    maxUnavailable: fc.constantFrom(
      { type: "share", share: 0.25 } as const,
      { type: "hosts", hosts: 1 } as const,
      { type: "hosts", hosts: 3 } as const,
    ),
    regions: fc.constantFrom("together", "sequence"),
  }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** How engine, driver and hosts could go wrong: the checks have to see each of them. */
interface Mutation {
  /** What the engine is given, whatever the service's policy says. */
  readonly policy?: Partial<RolloutPolicy>;
  /** What the engine is told instead of the truth. */
  readonly counts?: (counts: RegionCounts) => RegionCounts;
  /** What a host takes its goal for. */
  readonly goal?: (goal: Goal) => Goal;
  /** Forgets what was quarantined. */
  readonly isForgetful?: boolean;
}

interface World {
  readonly given: Scenario;
  readonly prng: Prng;
  readonly mutation: Mutation;
  readonly policy: RolloutPolicy;
  readonly service: ModelService;
  readonly seeders: readonly ModelSeeder[];
  readonly hosts: readonly ModelHost[];
  releases: number;
  now: number;
}

function makeWorld(given: Scenario, mutation: Mutation): World {
  const prng = new Prng(given.seed);
  const policy = { ...defaultRolloutPolicy, ...given.policy, prepareMs: 120_000, waveMs: 120_000 };
  const names = given.regions.map((_, index) => `r${index}`);
  const badReleases = new Map<string, boolean>();
  const isBadRelease = (release: string): boolean => {
    const known = badReleases.get(release) ?? prng.next() < given.badReleases;
    badReleases.set(release, known);
    return known;
  };
  const hosts = given.regions.flatMap((count, index) =>
    Array.from({ length: given.isLarge && index === 0 ? 130 + count : count }, (_, number) => {
      const isBadHost = prng.next() < given.badHostShare;
      const never = prng.next() < given.neverFetchShare;
      return new ModelHost(
        `h${index}-${number}`,
        `r${index}`,
        (release) => isBadHost && isBadRelease(release),
        () => (never ? Infinity : prng.below(60_000)),
        mutation.goal,
      );
    }),
  );
  return {
    given,
    prng,
    mutation,
    policy,
    service: new ModelService(names, { ...policy, ...mutation.policy }),
    seeders: names.map((name) => new ModelSeeder(name)),
    hosts,
    releases: 0,
    now: 0,
  };
}

function act(world: World, action: (typeof actions)[number]): void {
  const { service, now } = world;
  if (action === "deploy") {
    world.releases += 1;
    service.deploy(makeModelRelease(world.releases), now);
  } else if (action === "rollback" || action === "rollbackInWaves") {
    service.rollback(action === "rollbackInWaves", now);
  } else if (action === "hold") service.tell({ type: "held", by: "ann", reason: "" }, now);
  else if (action === "release") service.tell({ type: "released" }, now);
  else service.abort(now);
}

/** Every process that may stop, stops now and then. */
function breakThings(world: World): void {
  const { given, prng, hosts, seeders, now } = world;
  for (const host of hosts) {
    if (prng.next() < given.faultShare) host.silent = !host.silent;
    if (prng.next() < given.faultShare) host.restart(prng.next() < 0.5, now);
  }
  for (const seeder of seeders) if (prng.next() < given.faultShare / 2) seeder.restart();
}

function tick(world: World, faulty: boolean): void {
  const { given, prng, service, seeders, hosts, policy, mutation } = world;
  world.now += 1000 + prng.below(10_000);
  const isLost = (): boolean => faulty && prng.next() < given.faultShare;
  if (faulty) breakThings(world);
  else for (const host of hosts) host.silent = false;
  for (const seeder of seeders)
    if (!isLost()) seeder.goal = service.goals.get(seeder.region) ?? null;
  for (const host of hosts) {
    const seeder = seeders.find(({ region }) => region === host.region);
    if (!host.silent && seeder?.goal && !isLost()) host.accept(seeder.goal);
    host.live(world.now);
    if (seeder !== undefined && !isLost()) seeder.hear(host);
  }
  const rollout = service.rollout;
  if (rollout === null) return;
  const isOpen = (host: ModelHost): boolean =>
    mayRun(service.ruleOf(host.region), rollout.state.salt, host.id);
  const before = new Set(hosts.filter(isOpen));
  const counts = seeders.map((seeder) =>
    seeder.count(rollout.release.id, service.goals.get(seeder.region), !isLost()),
  );
  const told = mutation.counts === undefined ? counts : counts.map(mutation.counts);
  service.tell({ type: "reported", regions: told }, world.now);
  if (mutation.isForgetful === true) spreadAgain(service);
  if (!service.isRolling() || !rollout.state.staged) return;
  const open = hosts.filter(isOpen);
  expect([...before].filter((host) => !isOpen(host))).toEqual([]);
  const opened = open.filter((host) => !before.has(host) && !host.silent);
  if (opened.length === 0) return;
  const turn = rollout.state.region;
  const inTurn = hosts.filter(({ region }) => turn === null || region === turn);
  // One that comes back in this moment, and was counted as silent, is nobody's decision.
  const isKnown = (host: ModelHost): boolean => seeders.some((seeder) => seeder.knowsOf(host));
  const unwell = inTurn.filter(
    (host) =>
      isOpen(host) && !host.silent && isKnown(host) && !host.isHealthyWith(rollout.release.id),
  );
  expect(unwell.length).toBeLessThanOrEqual(unavailableMax(policy, inTurn.length));
}

/** What the policy means, written a second time. */
function unavailableMax({ maxUnavailable: max }: RolloutPolicy, hosts: number): number {
  return Math.max(1, max.type === "hosts" ? max.hosts : Math.trunc(hosts * max.share));
}

/** A driver that goes on with what the engine has given up. */
function spreadAgain(service: ModelService): void {
  const { rollout } = service;
  if (rollout?.state.phase !== "FAILED") return;
  rollout.state = { ...rollout.state, phase: "SWITCHING", openToAll: true };
  service.writeGoals();
  rollout.state = { ...rollout.state, phase: "FAILED" };
}

function run(given: Scenario, mutation: Mutation = {}): void {
  const world = makeWorld(given, mutation);
  const { service, hosts } = world;
  act(world, "deploy");
  for (let moment = 0; moment < 60; moment += 1) {
    for (const [at, action] of given.script) if (at === moment) act(world, action);
    tick(world, moment < 45);
  }
  act(world, "release");
  // It goes on, however slowly, or says for long that it waits for what doesn't come by itself.
  let waitingTicks = 0;
  for (let moment = 0; moment < 900 && service.isRolling() && waitingTicks < 60; moment += 1) {
    tick(world, false);
    waitingTicks = service.rollout?.state.paused === true ? waitingTicks + 1 : 0;
  }
  // Hosts get the last goals, and what was tried and failed has been given up.
  for (let moment = 0; moment < 20; moment += 1) tick(world, false);
  const faults = [...service.faults, ...hosts.flatMap((host) => host.faults)];
  if (faults.length > 0) throw new Error(faults.join("\n"));
  if (service.isRolling()) {
    expect(service.rollout?.state.paused).toBe(true);
    expect(service.rollout?.state.reason).toMatch(/^waits for|^paused by/);
    return;
  }
  const { current, fallback, quarantined } = service;
  for (const host of hosts) {
    const runs = host.runs();
    const may = [current?.id ?? null, fallback?.id ?? null, null];
    expect(may).toContain(runs);
    if (runs !== null) expect(quarantined.has(runs)).toBe(false);
  }
}

test(
  "whatever breaks: the healthy are never left behind, what is halted never spreads, nobody runs what no goal names",
  { timeout: 30 * 60_000 },
  () => {
    fc.assert(
      fc.property(scenario, (given) => run(given)),
      { numRuns: runsCount },
    );
  },
);

const mutations: readonly (readonly [string, RegExp, Mutation])[] = [
  [
    "opens everybody at once, whatever maxUnavailable says",
    /less than or equal/,
    { policy: { maxUnavailable: { type: "share", share: 1 } } },
  ],
  [
    "takes every open host for a healthy one",
    /less than or equal/,
    { counts: (counts) => ({ ...counts, healthy: counts.open, failed: 0 }) },
  ],
  ["never ends and doesn't say why", /false to be true/, { policy: { bakeMs: 1e12 } }],
  ["goes on with what was halted", /quarantined/, { isForgetful: true }],
  [
    "lets hosts switch before their wave",
    /before its wave/,
    { goal: (goal) => ({ ...goal, switch: { type: "all" } }) },
  ],
  [
    "lets hosts run a release that no goal of theirs names",
    /which no goal named/,
    { goal: (goal) => ({ ...goal, run: makeModelRelease(99), switch: { type: "all" } }) },
  ],
];
test.for(mutations)(
  "the checks see an engine that %s",
  { timeout: 120_000 },
  ([, complaint, mutation]) => {
    const property = fc.property(scenario, (given) => run(given, mutation));
    const found = fc.check(property, { numRuns: 300, endOnFailure: true });
    expect(found.failed).toBe(true);
    expect(String(found.errorInstance)).toMatch(complaint);
  },
);
