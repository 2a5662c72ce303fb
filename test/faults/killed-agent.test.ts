// An agent that is killed and started again: what it ran goes on running, and what it was fetching
// goes on from the pieces that it has.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { allHealthy, build, deploy } from "./person.ts";
import { processOf } from "./proc.ts";
import { SampleProject } from "./sample-project.ts";
import { waitFor } from "./wait-for.ts";

const minuteMs = 60_000;
const service = "sample";

let fleet: Fleet;
let project: SampleProject;
beforeAll(async () => {
  fleet = await Fleet.start({ hosts: 1, regions: ["eu"] });
  const size = { parts: 12, partBytes: 8 * 1024 ** 2, changed: 12 };
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await project.register(fleet.client, service);
}, 2 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

/** Lets a process run for a twentieth of the time only, until it is told to stop doing so. */
function throttle(pid: number): () => Promise<void> {
  let isOver = false;
  const throttled = (async () => {
    while (!isOver) {
      process.kill(pid, "SIGSTOP");
      await sleep(95);
      process.kill(pid, "SIGCONT");
      await sleep(5);
    }
  })();
  return async () => {
    isOver = true;
    await throttled;
  };
}

async function progressFiles(): Promise<readonly string[]> {
  const paths = await readdir(fleet.stateDir("host-1"), { recursive: true });
  return paths.filter((path) => path.endsWith("/progress"));
}

describe("a killed agent", () => {
  test("goes on from the pieces that it has fetched", { timeout: 3 * minuteMs }, async () => {
    const built = await build(fleet, service, await project.commit("v1"));
    expect(built).toMatchObject({ state: "SUCCEEDED" });
    const seeder = fleet.member("seeder-eu").pid;
    if (seeder === undefined) throw new Error("the seeder doesn't run");
    const release = throttle(seeder);
    const deploying = deploy(fleet, service, built);
    try {
      // The first record says that nothing is here yet; the next one names chunks.
      const records = new Set<string>();
      await waitFor("a part of the artifact to be on the host's disk", minuteMs, async () => {
        const [file] = await progressFiles();
        if (file === undefined) return null;
        const path = join(fleet.stateDir("host-1"), file);
        records.add(await readFile(path, "latin1").catch(() => [...records][0] ?? ""));
        return records.size > 1 ? true : null;
      });
      await fleet.member("host-1").kill();
    } finally {
      await release();
    }
    expect(await progressFiles(), "it was killed while fetching").toHaveLength(1);
    await fleet.member("host-1").start();
    const rollout = await deploying;
    expect(rollout).toMatchObject({ state: "SUCCEEDED" });
    await allHealthy(fleet, 1, rollout.release.id);
    const fetches = (await fleet.hosts()).flatMap((host) => host.fetches);
    const fetch = fetches.find(({ artifact }) => artifact === built.artifact);
    if (fetch === undefined) throw new Error("the host doesn't say what it fetched");
    expect(fetch.bytes).toBe(built.artifactBytes);
    expect(fetch.bytesFromSeeders, "something was left to fetch").toBeGreaterThan(0);
    expect(fetch.bytesFromSeeders, "and not all of it").toBeLessThan(fetch.bytes);
    expect(fetch).toMatchObject({ bytesFromPeers: 0, bytesReused: 0, bytesRefused: 0 });
  });

  test("finds its program again and doesn't restart it", { timeout: minuteMs }, async () => {
    const [program] = await fleet.programs();
    if (program === undefined) throw new Error("the host runs nothing");
    for (let times = 0; times < 3; times += 1) {
      await fleet.member("host-1").kill();
      expect(await processOf(program.pid), "it outlives its agent").toEqual(program);
      await fleet.member("host-1").start();
      await waitFor("the new agent's first report", minuteMs / 2, async () => {
        const [host] = await fleet.hosts();
        return host !== undefined && host.seenMsAgo < 500 && host.services[0]?.healthy === true
          ? true
          : null;
      });
      expect(await fleet.programs()).toEqual([program]);
    }
  });

  test("starts its program again when it ended meanwhile", { timeout: minuteMs }, async () => {
    const [before] = await fleet.programs();
    if (before === undefined) throw new Error("the host runs nothing");
    await fleet.member("host-1").kill();
    process.kill(before.pid, "SIGKILL");
    await fleet.member("host-1").start();
    const after = await waitFor("another program", minuteMs / 2, async () => {
      const [program] = await fleet.programs();
      return program?.pid === before.pid ? null : program;
    });
    expect(after.pid).not.toBe(before.pid);
    const [host] = await fleet.hosts();
    await allHealthy(fleet, 1, host?.services[0]?.running ?? "");
  });
});
