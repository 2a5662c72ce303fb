// What must hold whatever happens to a host, in any order: goals old and new, releases that come and
// go, programs that fail, time that passes, and an agent that is killed.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Goal, SwitchRule } from "../rollout/goal.ts";
import { mayRun } from "../rollout/switch-rule.ts";
import type { Release } from "../rollout/release.ts";
import { goal, health, HostInMemory, v1, v2, v3 } from "./activation.test-kit.ts";

const releases: readonly Release[] = [v1, v2, v3];
const anyRelease = fc.option(fc.constantFrom(...releases));
const anyRule = fc.constantFrom<SwitchRule>(
  { type: "none" },
  { type: "all" },
  { type: "hosts", hosts: ["host-a"] },
  { type: "share", share: 0.5, hosts: [] },
);

type Event =
  | { readonly type: "goal"; readonly goal: Goal; readonly selected: boolean }
  | { readonly type: "hold" | "lose"; readonly release: Release }
  | { readonly type: "check"; readonly healthy: boolean; readonly times: number }
  | { readonly type: "exit" | "deadline" | "crash" };

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    type: fc.constant("goal" as const),
    goal: fc
      .record({
        epoch: fc.integer({ min: 1, max: 2 }),
        rollout: fc.integer({ min: 1, max: 3 }),
        run: anyRelease,
        fallback: anyRelease,
        switch: anyRule,
        generation: fc.integer({ min: 1, max: 30 }),
      })
      .map((parts) => goal(parts.generation, parts)),
    selected: fc.boolean(),
  }),
  fc.record({
    type: fc.constantFrom("hold" as const, "hold" as const, "lose" as const),
    release: fc.constantFrom(...releases),
  }),
  fc.record({
    type: fc.constant("check" as const),
    healthy: fc.boolean(),
    times: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ type: fc.constantFrom("exit" as const, "deadline" as const, "crash" as const) }),
);

/** Goals in the order in which a machine must take them; the rest it must refuse. */
class AcceptedGoals {
  readonly all: Goal[] = [];

  offer(offered: Goal): void {
    const newest = this.newest;
    const isNewer =
      newest === undefined ||
      offered.epoch > newest.epoch ||
      (offered.epoch === newest.epoch && offered.generation > newest.generation);
    if (isNewer) this.all.push(offered);
  }

  get newest(): Goal | undefined {
    return this.all.at(-1);
  }
}

interface Story {
  readonly host: HostInMemory;
  readonly accepted: AcceptedGoals;
}

/** Plays events and checks every order at the moment when it is given. */
function play(events: readonly Event[]): Story {
  const host = new HostInMemory();
  const accepted = new AcceptedGoals();
  host.onOutput = (output): void => {
    if (output.type !== "start") return;
    const { id } = output.release;
    expect(host.program, "one program at a time").toBeNull();
    expect(host.held.has(id), "only what is held").toBe(true);
    const { newest } = accepted;
    const named = [
      newest !== undefined && mayRun(newest.switch, newest.salt, "host-a") ? newest.run : null,
      newest?.fallback ?? null,
    ];
    expect(named.map((release) => release?.id)).toContain(id);
    const failed = host.saved.failed;
    if (failed?.rollout === newest?.rollout && failed?.release === id) {
      const others = named.filter((release) => release !== null && release.id !== id);
      expect(others, "a failed release only where there is nothing else").toEqual([]);
    }
  };
  for (const event of events) playOne(event, host, accepted);
  return { host, accepted };
}

function playOne(event: Event, host: HostInMemory, accepted: AcceptedGoals): void {
  switch (event.type) {
    case "goal": {
      accepted.offer(event.goal);
      host.accept(event.goal, event.selected);
      return;
    }
    case "hold":
      host.hold(event.release);
      return;
    case "lose":
      host.lose(event.release.id);
      return;
    case "check":
      host.check(event.healthy, event.times);
      return;
    case "exit":
      host.exit();
      return;
    case "deadline":
      host.waitForDeadline();
      return;
    case "crash":
      host.crash();
  }
}

test("never runs what no accepted goal lets it run, nor two programs, nor again what failed", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
      play(events);
    }),
    { numRuns: 500 },
  );
});

test("ends on the healthy release of its newest goal once everything is well", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const { host, accepted } = play(events);
      const { newest } = accepted;
      const run = newest?.run;
      fc.pre(newest !== undefined && run !== null && run !== undefined);
      const last = goal(31, { ...newest, generation: 31, epoch: 3, switch: { type: "all" } });
      accepted.offer(last);
      host.accept(last);
      host.hold(...releases);
      for (let round = 0; round < 20; round += 1) {
        host.check(true, health.healthyAfterCount);
        host.waitForDeadline();
      }
      const status = host.machine.status();
      expect(status.healthy).toBe(true);
      const failed = status.failed?.release;
      const expected = failed === run.id ? (last.fallback ?? run) : run;
      expect(status.running).toBe(expected.id);
      expect(host.program?.id).toBe(expected.id);
    }),
    { numRuns: 300 },
  );
});

test("the same inputs give the same orders", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      expect(play(events).host.done).toEqual(play(events).host.done);
    }),
    { numRuns: 50 },
  );
});
