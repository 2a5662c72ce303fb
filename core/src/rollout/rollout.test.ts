import { expect, test } from "vitest";
import { Rollout } from "./rollout.ts";
import { beginRollout, readRolloutState, ruleOf } from "./rollout-state.ts";
import type { RegionCounts, RolloutInput, RolloutOutput, RolloutState } from "./rollout-events.ts";
import { type RolloutPolicy, defaultRolloutPolicy } from "./rollout-policy.ts";

const policy = { ...defaultRolloutPolicy, maxUnavailable: { type: "hosts", hosts: 100 } } as const;

/** A region of `hosts` reporting hosts, all of which hold the release unless told otherwise. */
function region(name: string, hosts: number, more: Partial<RegionCounts> = {}): RegionCounts {
  return {
    region: name,
    current: true,
    reporting: hosts,
    silent: 0,
    open: 0,
    openSilent: 0,
    firstHosts: Array.from({ length: Math.min(hosts, 100) }, (_, index) => `${name}-${index}`),
    holding: hosts,
    running: 0,
    healthy: 0,
    failed: 0,
    ladder: [],
    ...more,
  };
}

function step(
  state: RolloutState,
  input: RolloutInput,
  now: number,
): { readonly state: RolloutState; readonly outputs: RolloutOutput[] } {
  // As the driver does: made anew from what a database kept.
  const rollout = new Rollout(JSON.parse(JSON.stringify(state)) as RolloutState, policy);
  rollout.handle(input, now);
  const outputs: RolloutOutput[] = [];
  for (let output = rollout.poll(); output !== undefined; output = rollout.poll())
    outputs.push(output);
  return { state: rollout.state, outputs };
}

/** A state whose regions reported all along. */
function until(state: RolloutState, now: number): RolloutState {
  return { ...state, nowMs: now, dataMs: now };
}

/** Carries on until the answer to `regions` is a new wave, an end, or a pause. */
function report(state: RolloutState, now: number, ...regions: RegionCounts[]): RolloutState {
  return step(state, { type: "reported", regions }, now).state;
}

const begun = beginRollout("deploy", "salt", 0);
const opened = report(begun, 1000, region("a", 2), region("b", 4));

test("opens nobody before nearly all reporting hosts of every region hold the release", () => {
  const waiting = report(begun, 1000, region("a", 200, { holding: 197 }), region("b", 3));
  expect(waiting.phase).toBe("PREPARING");
  expect(ruleOf(waiting, "a")).toEqual({ type: "none" });
  expect(waiting.reason).toContain("200 of 203");
  const ready = report(waiting, 2000, region("a", 200, { holding: 198 }), region("b", 3));
  expect(ready.phase).toBe("SWITCHING");
});

test("opens the first wave at the deadline with those that hold the release", () => {
  const counts = [region("a", 4, { holding: 1 })];
  expect(report(until(begun, policy.prepareMs - 1), policy.prepareMs - 1, ...counts).phase).toBe(
    "PREPARING",
  );
  expect(report(until(begun, policy.prepareMs), policy.prepareMs, ...counts).phase).toBe(
    "SWITCHING",
  );
});

test("begins with one host of the region where most report", () => {
  expect(opened.rules).toEqual({ b: { type: "hosts", hosts: ["b-0"] } });
  expect(opened.plan.map((wave) => wave.hosts)).toEqual([1, 3, 6]);
});

test("goes through its waves, each after a time of watching, and ends when all are healthy", () => {
  const one = [region("a", 2), region("b", 4, { open: 1, healthy: 1 })] as const;
  const watching = report(opened, 2000, ...one);
  expect(watching.reason).toContain("watches");
  const second = report(watching, 2000 + policy.bakeMs, ...one);
  expect(second.rules).toEqual({
    a: { type: "hosts", hosts: ["a-0"] },
    b: { type: "hosts", hosts: ["b-0", "b-1"] },
  });
  const two = [region("a", 2, { open: 1, healthy: 1 }), region("b", 4, { open: 2, healthy: 2 })];
  const third = report(report(second, 5000, ...two), 8000, ...two);
  expect([ruleOf(third, "a"), ruleOf(third, "c")]).toEqual([{ type: "all" }, { type: "all" }]);
  const all = [region("a", 2, { open: 2, healthy: 2 }), region("b", 4, { open: 4, healthy: 4 })];
  const done = step(report(third, 9000, ...all), { type: "reported", regions: all }, 12_000);
  expect(done.state.phase).toBe("SUCCEEDED");
  expect(done.outputs.at(-1)).toMatchObject({ type: "ended", phase: "SUCCEEDED" });
});

test("halts and quarantines when the first host fails, and changes nothing afterwards", () => {
  const failed = [region("a", 2), region("b", 4, { open: 1, failed: 1 })];
  const halted = step(opened, { type: "reported", regions: failed }, 2000);
  expect(halted.outputs.map((output) => output.type)).toEqual([
    "quarantined",
    "rulesChanged",
    "ended",
  ]);
  expect(halted.state.reason).toContain("1 of 1 hosts");
  const later = [region("a", 2, { open: 2, healthy: 2 })];
  const after = step(halted.state, { type: "reported", regions: later }, 9000);
  expect(after).toEqual({ state: halted.state, outputs: [] });
});

test("forgives a few failures in a large wave", () => {
  const wide = { ...opened, wave: 1, plan: opened.plan };
  const counts = (failed: number) => region("b", 400, { open: 100, healthy: 100 - failed, failed });
  expect(report(wide, 2000, counts(5)).phase).toBe("SWITCHING");
  expect(report(wide, 2000, counts(6)).phase).toBe("FAILED");
});

test("takes counts of an older goal for no data: waits, then pauses, and never judges success", () => {
  const old = [region("a", 2), region("b", 4, { current: false, open: 1, healthy: 1 })];
  const waiting = report(opened, 2000, ...old);
  expect([waiting.paused, waiting.phase]).toEqual([false, "SWITCHING"]);
  const paused = report(waiting, 1000 + policy.noDataMs, ...old);
  expect(paused.paused).toBe(true);
  expect(paused.reason).toBe("waits for the seeders of b to report");
  const good = [region("a", 2), region("b", 4, { open: 1, healthy: 1 })];
  const resumed = report(paused, 90_000, ...good);
  expect([resumed.paused, resumed.phase]).toEqual([false, "SWITCHING"]);
});

test("pauses, and doesn't abort, when the open host goes silent", () => {
  const silent = [region("a", 2), region("b", 3, { silent: 1, openSilent: 1 })];
  const waiting = report(opened, 2000, ...silent);
  expect(waiting.reason).toContain("1 open hosts that went silent");
  expect(waiting.wave).toBe(0);
  const paused = report(until(waiting, 1000 + policy.waveMs), 1000 + policy.waveMs, ...silent);
  expect([paused.paused, paused.phase, paused.wave]).toEqual([true, "SWITCHING", 0]);
});

test("isn't held up by hosts that were silent before it began", () => {
  const dead = region("a", 3, { silent: 1 });
  const first = report(begun, 1000, dead);
  const one = region("a", 3, { silent: 1, open: 1, healthy: 1 });
  const two = report(report(first, 2000, one), 5000, one);
  expect(two.wave).toBe(1);
  const half = region("a", 3, { silent: 1, open: 2, healthy: 2 });
  const last = report(report(two, 6000, half), 9000, half);
  const all = region("a", 3, { silent: 1, open: 3, openSilent: 1, healthy: 3 });
  expect(report(report(last, 10_000, all), 13_000, all).phase).toBe("SUCCEEDED");
});

test("counts hosts that hold the release and don't get healthy in time as failed", () => {
  const slow = [region("a", 2), region("b", 4, { open: 1 })];
  expect(report(until(opened, policy.waveMs), 1000 + policy.waveMs - 1, ...slow).phase).toBe(
    "SWITCHING",
  );
  const overdue = report(until(opened, policy.waveMs), 1000 + policy.waveMs, ...slow);
  expect([overdue.phase, overdue.reason]).toEqual([
    "FAILED",
    "1 of 1 hosts failed, or hold it and didn't get healthy in time",
  ]);
});

test("leaves a straggler that still fetches behind at the wave's deadline", () => {
  const third = until({ ...opened, wave: 2, sinceMs: 10_000, openToAll: true }, 10_000);
  const counts = region("b", 6, { open: 6, holding: 5, healthy: 5 });
  expect(report(third, 20_000, counts).doneSinceMs).toBeNull();
  const overdueMs = 10_000 + policy.waveMs;
  const skipped = report(until(third, overdueMs), overdueMs, counts);
  const end = report(skipped, overdueMs + policy.bakeMs, counts);
  expect([end.phase, end.reason]).toEqual([
    "SUCCEEDED",
    "5 of 6 open hosts are healthy, 1 still fetch it",
  ]);
});

test("opens another host when the first one has left the fleet", () => {
  const left = region("b", 3, { firstHosts: ["b-1", "b-2", "b-3"] });
  const gone = report(until(opened, policy.waveMs), 1000 + policy.waveMs, left);
  expect(gone.reason).toBe("1 hosts have left");
  const again = report(gone, 2000 + policy.waveMs, left);
  expect(again.rules).toEqual({ b: { type: "hosts", hosts: ["b-0", "b-1"] } });
});

test("plans anew when the fleet turns out to be much larger", () => {
  const grown = [region("b", 600, { open: 1, healthy: 1 })];
  const second = report(report(opened, 2000, ...grown), 5000, ...grown);
  expect(second.plan.map((wave) => wave.hosts)).toEqual([1, 60, 300, 600]);
  expect(second.rules["b"]).toMatchObject({ type: "hosts" });
});

test("succeeds for a service without hosts once that is believable", () => {
  const empty = report(begun, 1000, region("a", 0));
  expect(empty.phase).toBe("PREPARING");
  const done = report(empty, 1000 + policy.emptyMs, region("a", 0));
  expect(done).toMatchObject({ phase: "SUCCEEDED" });
  expect(done.reason).toContain("no host");
});

test("doesn't succeed because everybody vanished in the middle", () => {
  const gone = report(opened, 2000, region("a", 0), region("b", 0));
  const later = report(gone, 900_000, region("a", 0), region("b", 0));
  expect([later.phase, later.paused]).toEqual(["SWITCHING", true]);
});

test("rolls back everywhere at once, and isn't halted by failures", () => {
  const back = beginRollout("rollback", "salt", 0);
  expect(ruleOf(back, "anywhere")).toEqual({ type: "all" });
  const failing = region("a", 4, { open: 4, healthy: 1, failed: 3 });
  const watching = report(back, 1000, failing);
  expect(watching.phase).toBe("SWITCHING");
  const ended = step(watching, { type: "reported", regions: [failing] }, 9000);
  expect(ended.state.phase).toBe("FAILED");
  expect(ended.outputs.some((output) => output.type === "quarantined")).toBe(false);
});

test("is aborted by what goes first", () => {
  const { state, outputs } = step(opened, { type: "superseded", reason: "rollback 7" }, 2000);
  expect([state.phase, state.reason]).toEqual(["ABORTED", "rollback 7"]);
  expect(outputs.at(-1)).toMatchObject({ type: "ended", phase: "ABORTED" });
});

test("names the next moment at which time alone may change something", () => {
  const rollout = new Rollout(begun, policy);
  expect(rollout.nextDeadline()).toBe(policy.noDataMs);
  rollout.handle({ type: "reported", regions: [region("a", 0)] }, 5000);
  expect(rollout.nextDeadline()).toBe(5000 + policy.emptyMs);
});

const careful = { ...policy, maxUnavailable: { type: "hosts", hosts: 2 } } as const;

/** Hosts h0 … of one region, so many of them open and so many healthy, seen with another policy. */
function seen(
  state: RolloutState,
  now: number,
  hosts: number,
  more: Partial<RegionCounts>,
  chosen: RolloutPolicy = careful,
): RolloutState {
  const ladder = [1, 2, 3, 4, 6, 8].map((count) => ({ hosts: count, share: count / 100 }));
  const rollout = new Rollout(state, chosen);
  rollout.handle({ type: "reported", regions: [region("a", hosts, { ladder, ...more })] }, now);
  return rollout.state;
}

test("opens hosts of a wave only while fewer than may be unavailable aren't healthy", () => {
  const first = seen(begun, 1000, 40, {});
  expect(first.opened).toEqual({ a: 1 });
  const baked = seen(seen(first, 2000, 40, { open: 1, healthy: 1 }), 9000, 40, {
    open: 1,
    healthy: 1,
  });
  expect([baked.wave, baked.opened]).toEqual([1, { a: 3 }]);
  const full = seen(baked, 9500, 40, { open: 3, healthy: 1 });
  expect([full.opened, full.reason]).toEqual([
    { a: 3 },
    "waits for 2 of 3 open hosts to get healthy",
  ]);
  const further = seen(full, 10_000, 40, { open: 3, healthy: 2 });
  expect(further.opened).toEqual({ a: 4 });
});

test("takes hosts that its seeder hasn't heard of since its start for unavailable", () => {
  const wide = { ...seen(begun, 1000, 40, {}), wave: 1, opened: { a: 4 } };
  const restarted = seen(wide, 2000, 3, { open: 1, healthy: 1 });
  expect([restarted.opened, restarted.reason]).toEqual([
    { a: 4 },
    "waits for 3 open hosts to report",
  ]);
});

test("halts when as many hosts failed as may be unavailable, however large the wave", () => {
  const wide = { ...seen(begun, 1000, 400, {}), wave: 2, opened: { a: 90 } };
  const halted = seen(wide, 2000, 400, { open: 90, healthy: 88, failed: 2 });
  expect([halted.phase, halted.reason]).toEqual([
    "FAILED",
    "2 hosts failed, and only 2 may be unavailable at once",
  ]);
});

test("goes over to shares beyond the hosts that a rule can name, and keeps the named ones", () => {
  const named = Array.from({ length: 99 }, (_, index) => `a-${index}`);
  const wide: RolloutState = {
    ...seen(begun, 1000, 400, {}),
    wave: 2,
    rules: { a: { type: "hosts", hosts: named } },
    opened: { a: 99 },
  };
  const shared = seen(wide, 2000, 400, { open: 99, healthy: 99 });
  expect(shared.rules).toEqual({ a: { type: "share", share: 0.02, hosts: named } });
  expect(shared.opened).toEqual({ a: 101 });
});

test("opens nobody while a person holds it, halts on failures all the same, and goes on when let go", () => {
  const one = [region("a", 2), region("b", 4, { open: 1, healthy: 1 })] as const;
  const held = step(opened, { type: "held", by: "ann", reason: "lunch" }, 2000).state;
  const still = report(report(held, 3000, ...one), 500_000, ...one);
  expect([still.paused, still.reason, still.wave]).toEqual([true, "paused by ann: lunch", 0]);
  const bad = region("b", 4, { open: 1, failed: 1 });
  expect(report(still, 501_000, region("a", 2), bad).phase).toBe("FAILED");
  const released = step(still, { type: "released" }, 502_000).state;
  const watching = report(released, 503_000, ...one);
  expect([watching.paused, report(watching, 509_000, ...one).wave]).toEqual([false, 1]);
});

test("a time without data runs no deadline", () => {
  const slow = [region("a", 2), region("b", 4, { open: 1 })];
  const back = report(report(opened, 2000, ...slow), 2000 + policy.waveMs, ...slow);
  expect([back.phase, back.paused]).toEqual(["SWITCHING", false]);
});

test("goes from region to region in the order given, and watches each before the next", () => {
  const chosen = {
    ...policy,
    regions: "sequence",
    regionOrder: ["b"],
    regionBakeMs: 5000,
  } as const;
  let state = begun;
  const look = (now: number, a: Partial<RegionCounts>, b: Partial<RegionCounts>): RolloutState => {
    const rollout = new Rollout(state, chosen);
    rollout.handle({ type: "reported", regions: [region("a", 2, a), region("b", 1, b)] }, now);
    state = rollout.state;
    return state;
  };
  // Region a has no data yet, and its turn hasn't come.
  const first = look(1000, { current: false }, {});
  expect([first.region, ruleOf(first, "a"), ruleOf(first, "b")]).toEqual([
    "b",
    { type: "none" },
    { type: "all" },
  ]);
  look(2000, {}, { open: 1, healthy: 1 });
  expect(look(6900, {}, { open: 1, healthy: 1 }).region).toBe("b");
  expect(look(7000, {}, { open: 1, healthy: 1 })).toMatchObject({
    region: "a",
    phase: "PREPARING",
  });
  const next = look(8000, {}, { open: 1, healthy: 1 });
  expect(next.rules["a"]).toEqual({ type: "hosts", hosts: ["a-0"] });
  // What fails in the region whose turn it is counts against that region alone.
  expect(look(9000, { open: 1, failed: 1 }, { open: 1, healthy: 1 }).phase).toBe("FAILED");
});

test("a rollback in waves waits for a person instead of going back to what was rolled back", () => {
  const staged = report(beginRollout("rollback", "salt", 0, true), 1000, region("a", 4));
  expect(staged.rules).toEqual({ a: { type: "hosts", hosts: ["a-0"] } });
  const failed = report(staged, 2000, region("a", 4, { open: 1, failed: 1 }));
  expect([failed.phase, failed.paused, failed.reason]).toEqual([
    "SWITCHING",
    true,
    "waits for a person: 1 of 1 hosts that tried it failed",
  ]);
});

test("reads states of the first format, and none of another", () => {
  const {
    staged,
    held,
    region: turn,
    regionsDone,
    opened: count,
    known,
    openToAll,
    ...old
  } = opened;
  expect([staged, held, turn, regionsDone, count, known, openToAll]).toBeDefined();
  const rules = { b: { type: "share", share: 0.5 } };
  expect(readRolloutState({ ...old, format: 1, rules })).toEqual({
    ...opened,
    rules: { b: { type: "share", share: 0.5, hosts: [] } },
    opened: {},
    known: {},
  });
  expect(readRolloutState({ ...opened, format: 3 })).toBeNull();
});
