// The machine, its driver and real processes together.
import { mkdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { ActivationStatus } from "@shoal/core/activation/activation-events";
import type { Goal } from "@shoal/core/rollout/goal";
import type { Release } from "@shoal/core/rollout/release";
import { StateFile } from "@shoal/daemon/atomic-file";
import { describe, expect, onTestFinished, test } from "vitest";
import { ActivationRecord } from "./activation-record.ts";
import { commandCheck, goal, release, runSpec } from "./releases.test-kit.ts";
import { openServiceRunner, type ServiceRunner } from "./service-runner.ts";
import { Launcher } from "./supervise/launcher.ts";
import { findProcess } from "./supervise/process-table.ts";
import { eventually, silentLog, testFolder } from "./test-folder.test-kit.ts";

interface Host {
  readonly folder: string;
  /** How often something was worth a report. */
  changes: number;
  runner: ServiceRunner;
  /** What the program of this release wrote into its folder `file`; empty when nothing. */
  readonly read: (file: string) => Promise<string>;
  readonly log: () => Promise<string>;
  /** The agent's end and restart; nothing is told to the program. */
  readonly restartAgent: () => Promise<void>;
  readonly accept: (next: Goal) => void;
  readonly status: () => ActivationStatus;
}

async function openHost(): Promise<Host> {
  const folder = await testFolder();
  const open = (): Promise<ServiceRunner> => {
    const launcher = new Launcher(
      { releaseDir: () => folder, random: Math.random },
      {
        serviceDir: folder,
        ports: { first: 30_000, last: 39_999 },
        user: null,
        nodePath: process.execPath,
        secretsKeys: [],
        environment: "production",
        service: "web",
        bootId: "boot-1",
        groups: {
          make: async () => ({ admit: async () => {} }),
          drop: async () => {},
          close: async () => {},
        },
      },
    );
    const record = new ActivationRecord(new StateFile(join(folder, "activation.json"), 65_536));
    return openServiceRunner("production/web", "host-a", {
      launcher,
      record,
      now: () => performance.now(),
      onChange: () => {
        host.changes += 1;
      },
      log: silentLog,
    });
  };
  const host = { folder, changes: 0 } as Host;
  Object.assign(host, {
    runner: await open(),
    read: async (file: string) => readFile(join(folder, file), "utf8").catch(() => ""),
    log: () => host.read(join("log", "program.log")),
    restartAgent: async () => {
      await host.runner.stop(false);
      host.runner = await open();
    },
    accept: (next: Goal) => host.runner.tell({ type: "goalAccepted", goal: next, selected: true }),
    status: () => host.runner.machine.status(),
  } satisfies Omit<Host, "folder" | "changes">);
  onTestFinished(() => host.runner.stop(true));
  return host;
}

function hold(host: Host, ...releases: readonly Release[]): void {
  for (const { id } of releases) host.runner.tell({ type: "releaseHeld", release: id });
}

const forever = (word: string): string => `echo ${word} $$; while :; do sleep 0.05; done`;
const good = release(runSpec(forever("good"), { health: commandCheck("exit 0") }));
const bad = release(runSpec(forever("bad"), { health: commandCheck("echo broken; exit 1") }));

const isHealthy =
  (host: Host, { id }: Release) =>
  () =>
    host.status().healthy && host.status().running === id;

describe("a service on a host", { timeout: 30_000 }, () => {
  test("is started and healthy once its release is held", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    expect(await host.log()).toMatch(/^good \d+\n$/);
    const { changes } = host;
    await setTimeout(350);
    expect(host.changes, "a check that passes again is no news").toBe(changes);
    expect(await readlink(join(host.folder, "current"))).toBe(host.folder);
  });

  test("goes back to the fallback by itself, and remembers it over a restart of the agent", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good, bad);
    await eventually(isHealthy(host, good));
    const broken = goal(2, { rollout: 2, run: bad, fallback: good });
    host.accept(broken);
    await eventually(() => host.status().state === "rolledBack" && host.status().healthy);
    expect(host.status()).toMatchObject({
      running: good.id,
      failed: { release: bad.id, code: "health_check_failed" },
    });
    expect(host.status().failed?.message).toContain("broken");
    await host.restartAgent();
    host.accept(broken);
    hold(host, good, bad);
    await eventually(isHealthy(host, good));
    // good, bad, good again: no more starts.
    expect((await host.log()).match(/\w+ \d+/g)?.map((line) => line.split(" ")[0])).toEqual([
      "good",
      "bad",
      "good",
    ]);
  });

  test("keeps its program, its pid and its port over a restart of the agent", async () => {
    const serving = release(
      runSpec('echo "port $PORT"; while :; do sleep 0.05; done', { port: "auto" }),
    );
    const host = await openHost();
    host.accept(goal(1, { run: serving }));
    hold(host, serving);
    await eventually(isHealthy(host, serving));
    const port = host.runner.port();
    await host.restartAgent();
    expect(host.runner.port()).toBe(port);
    host.accept(goal(1, { run: serving }));
    hold(host, serving);
    await eventually(isHealthy(host, serving));
    expect(await host.log()).toBe(`port ${port}\n`);
  });

  test("keeps its port when its program is started again", async () => {
    const serving = release(runSpec('echo "$PORT" >> ports; sleep 0.05; exit 1', { port: "auto" }));
    const host = await openHost();
    host.accept(goal(1, { run: serving }));
    hold(host, serving);
    await eventually(async () => (await host.read("ports")).split("\n").length > 2);
    const ports = (await host.read("ports")).trimEnd().split("\n");
    expect(new Set(ports).size).toBe(1);
  });

  test("finds a program whose pid wasn't recorded before the agent was killed", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    const file = join(host.folder, "program.json");
    const record = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await host.runner.stop(false);
    await writeFile(file, JSON.stringify({ ...record, identity: null }));
    await host.restartAgent();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    expect(await host.log()).toMatch(/^good \d+\n$/);
  });

  test("notices that a program ended while no agent was there, and starts it again", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    await host.runner.stop(true);
    await host.restartAgent();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    expect(await host.log()).toMatch(/^good \d+\ngood \d+\n$/);
  });

  test("ends a program whose record it can't read, rather than run a second beside it", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    const file = join(host.folder, "program.json");
    const record = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await host.runner.stop(false);
    await writeFile(file, JSON.stringify({ ...record, release: { of: "a later version" } }));
    await host.restartAgent();
    expect(host.runner.machine.occupiedBy()).toBeNull();
    const [, pid] = (await host.log()).trim().split(" ");
    expect(await findProcess(Number(pid))).toBeNull();
  });

  test("takes no process of another boot for its program", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
    const file = join(host.folder, "program.json");
    const record = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await host.runner.stop(true);
    const own = { pid: process.pid, startTicks: 0 };
    await writeFile(file, JSON.stringify({ ...record, bootId: "boot-0", identity: own }));
    await host.restartAgent();
    expect(host.runner.machine.occupiedBy()).toBeNull();
  });

  test("says what a program printed last when it crashes again and again", async () => {
    const crashing = release(runSpec("echo 'no such table' >&2; exit 4"));
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good, crashing);
    await eventually(isHealthy(host, good));
    host.accept(goal(2, { rollout: 2, run: crashing, fallback: good }));
    await eventually(() => host.status().failed !== null, 10_000);
    expect(host.status().failed).toMatchObject({
      code: "program_exited",
      message: "exited with code 4; its log ends with: no such table",
    });
    await eventually(isHealthy(host, good));
  });

  test("runs a release that has nothing to run by switching to it", async () => {
    const data = release({ ...runSpec(""), command: [] });
    const host = await openHost();
    host.accept(goal(1, { run: data }));
    hold(host, data);
    await eventually(isHealthy(host, data));
    expect(await host.log()).toBe("");
    host.accept(goal(2, { run: good }));
    hold(host, good);
    await eventually(isHealthy(host, good));
  });

  test("goes on when what must be saved can't be", async () => {
    const host = await openHost();
    host.accept(goal(1, { run: good }));
    hold(host, good, bad);
    await eventually(isHealthy(host, good));
    // A folder in the file's place: writing it fails as on a broken disk.
    await rm(join(host.folder, "activation.json"), { force: true });
    await mkdir(join(host.folder, "activation.json", "x"), {
      recursive: true,
    });
    host.accept(goal(2, { rollout: 2, run: bad, fallback: good }));
    await eventually(() => host.status().state === "rolledBack" && host.status().healthy, 10_000);
    expect(host.status().running).toBe(good.id);
  });
});
