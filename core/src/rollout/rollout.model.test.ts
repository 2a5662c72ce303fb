// Random fleets, failures, silences, lost reports and restarts against the engine. The model decides
// what each host does; the checks look at rules and hosts only, never into the engine.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Prng } from "../prng.ts";
import type { SwitchRule } from "./goal.ts";
import { hostShare } from "./host-share.ts";
import { Rollout } from "./rollout.ts";
import { beginRollout, isEnded, ruleOf } from "./rollout-state.ts";
import type { RegionCounts, RolloutState } from "./rollout-events.ts";
import { defaultRolloutPolicy } from "./rollout-policy.ts";

const policy = { ...defaultRolloutPolicy, prepareMs: 120_000, waveMs: 60_000 };
const salt = "r1";

interface Host {
  readonly id: string;
  readonly region: string;
  readonly share: number;
  /** Ticks until it holds the release; for some it is never. */
  readonly fetchTicks: number;
  readonly fails: boolean;
  silent: boolean;
  state: "waiting" | "healthy" | "failed";
}

const scenario = fc.record({
  seed: fc.integer(),
  regions: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 4 }),
  large: fc.constantFrom(false, false, true),
  failShare: fc.constantFrom(0, 0, 0.01, 0.2, 1),
  silenceShare: fc.constantFrom(0, 0, 0.05, 0.3),
  neverFetchShare: fc.constantFrom(0, 0, 0.02),
  lostReportShare: fc.constantFrom(0, 0.3),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** What a rule means, written a second time. */
function allows(rule: SwitchRule, host: Host): boolean {
  if (rule.type === "none" || rule.type === "all") return rule.type === "all";
  return rule.hosts.includes(host.id) || (rule.type === "share" && host.share < rule.share);
}

function makeHosts(given: Scenario, prng: Prng): Host[] {
  const hosts = given.regions.flatMap((count, region) =>
    Array.from({ length: given.large && region === 0 ? count * 20 : count }, (_, index): Host => ({
      id: `h${region}-${index}`,
      share: hostShare(salt, `h${region}-${index}`),
      region: `region${region}`,
      fetchTicks: prng.next() < given.neverFetchShare ? Infinity : prng.below(6),
      fails: prng.next() < given.failShare,
      silent: false,
      state: "waiting",
    })),
  );
  return hosts.toSorted((a, b) => a.share - b.share);
}

function countHosts(
  region: string,
  hosts: readonly Host[],
  seen: SwitchRule,
  tick: number,
  current: boolean,
): RegionCounts {
  const own = hosts.filter((host) => host.region === region);
  const talking = own.filter((host) => !host.silent);
  const open = (among: readonly Host[]): number =>
    among.filter((host) => allows(seen, host)).length;
  return {
    region,
    current,
    reporting: talking.length,
    silent: own.length - talking.length,
    open: open(talking),
    openSilent: open(own.filter((host) => host.silent)),
    firstHosts: talking.slice(0, 100).map((host) => host.id),
    ladder: ladderOf(talking.filter((host) => !allows(seen, host))),
    holding: talking.filter((host) => host.fetchTicks <= tick).length,
    running: talking.filter((host) => host.state === "healthy").length,
    healthy: talking.filter((host) => host.state === "healthy").length,
    failed: talking.filter((host) => host.state === "failed").length,
  };
}

/** What opens 1, 2, 4 … more of these hosts, which are in order. */
function ladderOf(closed: readonly Host[]): RegionCounts["ladder"] {
  const rungs = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].filter((count) => count < closed.length);
  const upTo = (count: number): number => closed[count]?.share ?? 1;
  return [...rungs, closed.length]
    .filter((count) => count > 0)
    .map((count) => ({ hosts: count, share: upTo(count) }));
}

/** Lets every open host that holds the release try it. */
function switchHosts(
  hosts: readonly Host[],
  rules: ReadonlyMap<string, SwitchRule>,
  tick: number,
): void {
  for (const host of hosts) {
    if (host.silent || host.state !== "waiting" || host.fetchTicks > tick) continue;
    const rule = rules.get(host.region);
    if (rule !== undefined && allows(rule, host)) host.state = host.fails ? "failed" : "healthy";
  }
}

function run(given: Scenario): void {
  const prng = new Prng(given.seed);
  const hosts = makeHosts(given, prng);
  const regions = given.regions.map((_, index) => `region${index}`);
  let state: RolloutState = beginRollout("deploy", salt, 0);
  let now = 0;
  let everOpen = new Set<string>();
  const faultsEnd = 60;
  for (let tick = 0; tick < 300 && !isEnded(state); tick += 1) {
    now += 1000 + prng.below(20_000);
    const faulty = tick < faultsEnd;
    for (const host of hosts) {
      if (!faulty) host.silent = false;
      else if (prng.next() < given.silenceShare / 10) host.silent = !host.silent;
    }
    const before = state;
    const rules = new Map(regions.map((region) => [region, ruleOf(before, region)]));
    switchHosts(hosts, rules, tick);
    const counts = regions.map((region) => {
      const lost = faulty && prng.next() < given.lostReportShare;
      return countHosts(region, hosts, rules.get(region) ?? { type: "none" }, tick, !lost);
    });
    // A restart between any two calls: only JSON is left.
    const rollout = new Rollout(JSON.parse(JSON.stringify(state)) as RolloutState, policy);
    rollout.handle({ type: "reported", regions: counts }, now);
    state = rollout.state;
    const open = new Set(
      hosts.filter((host) => allows(ruleOf(state, host.region), host)).map((host) => host.id),
    );
    if (!isEnded(state)) {
      // What is open stays open; a wave of names never has more of them than its target.
      expect([...everOpen].filter((id) => !open.has(id))).toEqual([]);
      if (open.size > everOpen.size) {
        const unwell = hosts.filter(
          (host) => open.has(host.id) && !host.silent && host.state !== "healthy",
        );
        expect(unwell.length).toBeLessThanOrEqual(Math.max(1, Math.floor(hosts.length / 4)));
      }
      everOpen = open;
      const named = Object.values(state.rules).every((rule) => rule.type === "hosts");
      const wave = state.plan[state.wave];
      if (named && wave !== undefined && state.wave < state.plan.length - 1) {
        expect(open.size).toBeLessThanOrEqual(Math.max(wave.hosts, 1));
      }
      expect(state.reason).not.toBe("");
      expect(rollout.nextDeadline() ?? Infinity).toBeGreaterThan(now);
    }
    if (state.phase === "SUCCEEDED") {
      const failed = hosts.filter((host) => host.state === "failed").length;
      expect(failed).toBeLessThanOrEqual(Math.max(0, policy.failedShareMax * hosts.length));
    }
    if (state.phase === "FAILED") expect(hosts.some((host) => host.fails)).toBe(true);
  }
  // Faults have stopped long ago: it has ended, or it says what it waits for, and that is true.
  if (!isEnded(state)) {
    expect(state.paused).toBe(true);
    expect(hosts.some((host) => host.fetchTicks === Infinity)).toBe(true);
  }
  if (given.failShare === 1 && hosts.length > 0) {
    expect(hosts.filter((host) => host.state === "failed").length).toBeLessThanOrEqual(1);
  }
}

test("never opens more than its wave, never closes what is open, and ends or says what it waits for", () => {
  fc.assert(fc.property(scenario, run), { numRuns: 60 });
}, 60_000);
