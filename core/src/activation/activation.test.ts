import { describe, expect, test } from "vitest";
import { restartPauseMsMax, restartPauseMsMin, restartsMax, trialMs } from "../limits.ts";
import { goal, health, HostInMemory, release, v1, v2, v3 } from "./activation.test-kit.ts";

/** A host that runs a proven v1, with v2 on disk and a goal that lets it switch. */
function hostInRollout(): HostInMemory {
  const host = new HostInMemory();
  host.accept(goal(1, { rollout: 1, run: v1 }));
  host.hold(v1);
  host.check(true, 2);
  host.now += trialMs;
  host.tell({ type: "deadline" });
  host.hold(v2);
  host.accept(goal(2, { rollout: 2, run: v2, fallback: v1 }));
  host.done.length = 0;
  return host;
}

describe("switching", () => {
  test("starts a release only once it is held", () => {
    const host = new HostInMemory();
    host.accept(goal(1, { run: v1 }));
    expect(host.done).toEqual([]);
    expect(host.machine.status()).toMatchObject({
      state: "fetching",
      waitsFor: "the artifact of commit cccccccccccc",
    });
    host.hold(v1);
    expect(host.done).toEqual(["start v1"]);
  });

  test("stops the old program before it starts the new one", () => {
    const host = hostInRollout();
    expect(host.program).toBe(v2);
    const other = hostInRollout();
    other.accept(goal(3, { rollout: 3, run: v3, fallback: v2 }));
    other.check(true, 2);
    other.hold(v3);
    expect(other.done).toEqual(["stop v2", "start v3"]);
  });

  test.for([
    ["none", { type: "none" }, []],
    ["a list without this host", { type: "hosts", hosts: ["host-b"] }, []],
    ["a list with this host", { type: "hosts", hosts: ["host-b", "host-a"] }, ["start v1"]],
    ["a share of nobody", { type: "share", share: 0, hosts: [] }, []],
    ["a share of everybody", { type: "share", share: 1, hosts: [] }, ["start v1"]],
    ["all", { type: "all" }, ["start v1"]],
  ] as const)("heeds the switch rule: %s", ([, rule, done]) => {
    const host = new HostInMemory();
    host.hold(v1);
    host.accept(goal(1, { run: v1, switch: rule }));
    expect(host.done).toEqual(done);
    expect(host.machine.status().state).toBe(done.length === 0 ? "prepared" : "starting");
  });

  test("runs the fallback on a host that joins before its wave opens, and fetches that first", () => {
    const host = new HostInMemory();
    host.accept(goal(5, { prepare: [v2], run: v2, fallback: v1, switch: { type: "none" } }));
    expect(host.machine.wanted().map(({ id }) => id)).toEqual(["v1", "v2"]);
    host.hold(v2, v1);
    expect(host.done).toEqual(["start v1"]);
    host.accept(goal(6, { run: v2, fallback: v1 }));
    expect(host.done).toEqual(["start v1", "stop v1", "start v2"]);
  });

  test("lets a program that the goal doesn't name run until its successor is held", () => {
    const host = new HostInMemory();
    host.hold(v1);
    host.accept(goal(1, { run: v1 }));
    host.accept(goal(2, { rollout: 2, run: v3, fallback: v2 }));
    expect(host.done).toEqual(["start v1"]);
    host.hold(v2);
    expect(host.done).toEqual(["start v1", "stop v1", "start v2"]);
    host.hold(v3);
    expect(host.done.slice(3)).toEqual(["stop v2", "start v3"]);
  });

  test("refuses a goal that isn't newer", () => {
    const host = new HostInMemory();
    host.hold(v1, v2);
    host.accept(goal(7, { epoch: 2, run: v1 }));
    host.accept(goal(7, { epoch: 2, run: v2 }));
    host.accept(goal(6, { epoch: 2, run: v2 }));
    host.accept(goal(99, { epoch: 1, run: v2 }));
    expect(host.done).toEqual(["start v1"]);
    host.accept(goal(1, { epoch: 3, run: v2 }));
    expect(host.program).toBe(v2);
  });

  test("stops what a goal doesn't select this host for any more, and wants nothing of it", () => {
    const host = new HostInMemory();
    host.hold(v1);
    host.accept(goal(1, { run: v1 }));
    host.accept(goal(2, { run: v1 }), false);
    expect(host.done).toEqual(["start v1", "stop v1"]);
    expect(host.machine.wanted()).toEqual([]);
    expect(host.machine.status().state).toBe("stopped");
  });

  test("doesn't start the next program before the last one has exited", () => {
    const host = hostInRollout();
    const { machine } = host;
    machine.handle({ type: "goalAccepted", goal: goal(3, { run: v1 }), selected: true }, host.now);
    expect(machine.poll()).toEqual({ type: "stop", release: "v2" });
    machine.handle({ type: "deadline" }, host.now + 60_000);
    expect(machine.poll()).toBeUndefined();
    expect(machine.status().waitsFor).toBe("the program's end");
    machine.handle({ type: "programExited", release: "v2", message: "SIGKILL" }, host.now);
    expect(machine.poll()).toEqual({ type: "start", release: v1 });
  });
});

describe("a release on trial", () => {
  test("is healthy after enough checks in a row", () => {
    const host = hostInRollout();
    host.check(true);
    host.check(false);
    host.check(true);
    expect(host.machine.status()).toMatchObject({ state: "starting", healthy: false });
    host.check(true);
    expect(host.machine.status()).toMatchObject({
      state: "healthy",
      running: "v2",
      healthy: true,
      failed: null,
      waitsFor: "",
    });
  });

  test("goes back to the fallback when it isn't healthy in time, and says why", () => {
    const host = hostInRollout();
    host.check(false, 3);
    host.waitForDeadline();
    expect(host.done).toEqual(["stop v2", "start v1"]);
    host.check(true, 2);
    expect(host.machine.status()).toMatchObject({
      state: "rolledBack",
      running: "v1",
      healthy: true,
      failed: {
        rollout: 2,
        release: "v2",
        code: "health_check_failed",
        message: "not healthy 10000 ms after its start: answered 500",
      },
    });
  });

  test("goes back when it was healthy and isn't any more", () => {
    const host = hostInRollout();
    host.check(true, 2);
    host.check(false, health.unhealthyAfterCount - 1);
    expect(host.done).toEqual([]);
    host.check(false);
    expect(host.done).toEqual(["stop v2", "start v1"]);
  });

  test("goes back when it exits again and again", () => {
    const host = hostInRollout();
    for (let restart = 0; restart < restartsMax; restart += 1) {
      host.exit();
      host.waitForDeadline();
      expect(host.program).toBe(v2);
    }
    host.exit("killed by SIGSEGV");
    expect(host.program).toBe(v1);
    expect(host.machine.status().failed).toMatchObject({
      code: "program_exited",
      message: "killed by SIGSEGV",
    });
  });

  test("isn't tried again in the same rollout, not even after a crash of the agent", () => {
    const host = hostInRollout();
    host.waitForDeadline();
    host.done.length = 0;
    host.crash();
    host.accept(goal(3, { rollout: 2, run: v2, fallback: v1, switch: { type: "all" } }));
    for (let round = 0; round < 10; round += 1) {
      host.check(true, 2);
      host.waitForDeadline();
    }
    expect(host.done).toEqual([]);
    expect(host.program).toBe(v1);
  });

  test("is tried again in another rollout", () => {
    const host = hostInRollout();
    host.waitForDeadline();
    host.accept(goal(3, { rollout: 3, run: v2, fallback: v1 }));
    expect(host.program).toBe(v2);
    expect(host.machine.status().failed).toBeNull();
  });

  test("failed is history once the halted rollout's goal names it no more", () => {
    const host = hostInRollout();
    host.waitForDeadline();
    host.check(true, 2);
    host.accept(goal(3, { rollout: 2, run: v1, fallback: null }));
    expect(host.machine.status()).toMatchObject({
      state: "healthy",
      running: "v1",
      failed: { release: "v2" },
    });
  });

  test("is failed before it is stopped, on disk", () => {
    const host = hostInRollout();
    const order: string[] = [];
    host.onOutput = (output): void => {
      order.push(output.type);
    };
    host.waitForDeadline();
    expect(order).toEqual(["save", "stop", "start"]);
  });

  test("that can't even be started is tried a few times and then given up", () => {
    const host = hostInRollout();
    host.exit();
    for (let attempt = 0; attempt < restartsMax; attempt += 1) {
      const { machine } = host;
      const at = machine.nextDeadline();
      machine.handle({ type: "deadline" }, at ?? 0);
      expect(machine.poll()).toEqual({ type: "start", release: v2 });
      host.now = at ?? 0;
      host.tell({ type: "startFailed", release: "v2", code: "ENOENT", message: "no ./serve" });
    }
    expect(host.program).toBe(v1);
    expect(host.machine.status().failed?.code).toBe("ENOENT");
  });

  test("without a fallback is reported as failed and started again with back-off", () => {
    const host = new HostInMemory();
    host.hold(v1);
    host.accept(goal(1, { run: v1 }));
    host.check(false, 3);
    host.waitForDeadline();
    expect(host.done).toEqual(["start v1", "stop v1"]);
    expect(host.machine.status()).toMatchObject({ state: "failed", failed: { release: "v1" } });
    host.waitForDeadline();
    expect(host.done.at(-1)).toBe("start v1");
    host.check(true, 2);
    expect(host.machine.status()).toMatchObject({ state: "healthy", failed: { release: "v1" } });
  });
});

describe("a proven release", () => {
  /** v2, healthy for as long as a trial lasts. */
  function hostWithProven(): HostInMemory {
    const host = hostInRollout();
    host.check(true, 2);
    host.waitForDeadline();
    host.check(true);
    return host;
  }

  test("is restarted, not rolled back, when it gets unhealthy", () => {
    const host = hostWithProven();
    host.check(false, 3);
    expect(host.done).toEqual(["stop v2"]);
    expect(host.machine.status()).toMatchObject({ state: "unhealthy", failed: null });
    host.waitForDeadline();
    expect(host.done).toEqual(["stop v2", "start v2"]);
  });

  test("stays proven over a crash of the agent and the end of its rollout", () => {
    const host = hostWithProven();
    host.accept(goal(3, { rollout: 2, run: v2, fallback: v1 }));
    host.crash();
    for (let exit = 0; exit < 3 * restartsMax; exit += 1) {
      host.exit();
      host.waitForDeadline();
    }
    expect(host.program).toBe(v2);
    expect(host.machine.status().failed).toBeNull();
  });

  test("is on trial again when it comes back in a later rollout", () => {
    const host = hostWithProven();
    host.accept(goal(3, { rollout: 3, run: v1, fallback: null }));
    host.accept(goal(4, { rollout: 4, run: v2, fallback: v1 }));
    expect(host.program).toBe(v2);
    host.waitForDeadline();
    expect(host.program).toBe(v1);
  });

  test("is restarted with pauses that grow to a limit and begin anew once it was stable", () => {
    const host = hostWithProven();
    const pauses: number[] = [];
    for (let exit = 0; exit < 10; exit += 1) {
      host.exit();
      pauses.push((host.machine.nextDeadline() ?? 0) - host.now);
      host.waitForDeadline();
    }
    expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * restartPauseMsMin));
    expect(pauses.at(-1)).toBe(restartPauseMsMax);
    host.check(true, 100);
    host.exit();
    expect((host.machine.nextDeadline() ?? 0) - host.now).toBe(restartPauseMsMin);
  });
});

describe("a program found again", () => {
  test("goes on when its goal wants it", () => {
    const host = hostInRollout();
    host.check(true, 2);
    host.crash();
    host.check(true, 2);
    expect(host.done).toEqual([]);
    expect(host.machine.status()).toMatchObject({ state: "healthy", running: "v2" });
  });

  test("is stopped when a newer goal wants another", () => {
    const host = new HostInMemory();
    host.program = v3;
    host.tell({ type: "programFound", release: v3 });
    expect(host.done).toEqual([]);
    host.hold(v1);
    host.accept(goal(1, { run: v1 }));
    expect(host.done).toEqual(["stop v3", "start v1"]);
  });
});

describe("without a health check", () => {
  test("a program is healthy when it ran for startupMs", () => {
    const quiet = release("quiet", { ...health, type: "none" });
    const host = new HostInMemory();
    host.hold(quiet);
    host.accept(goal(1, { run: quiet }));
    expect(host.machine.status().state).toBe("starting");
    host.waitForDeadline();
    expect(host.now).toBe(health.startupMs);
    expect(host.machine.status().state).toBe("healthy");
  });

  test("a release with nothing to run is healthy as soon as it is switched to", () => {
    const data = release("data", { ...health, type: "none" });
    const files = { ...data, run: { ...data.run, command: [] } };
    const host = new HostInMemory();
    host.hold(files);
    host.accept(goal(1, { run: files }));
    expect(host.machine.status()).toMatchObject({ state: "healthy", running: "data" });
  });
});

test("says why an artifact can't be had", () => {
  const host = new HostInMemory();
  host.accept(goal(1, { run: v1 }));
  host.tell({ type: "fetchFailed", release: "v1", code: "disk_full", message: "needs 3 GiB" });
  expect(host.machine.status().waitsFor).toContain("disk_full: needs 3 GiB");
  host.hold(v1);
  expect(host.machine.status().waitsFor).not.toContain("disk_full");
});
