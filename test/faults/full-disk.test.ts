// Disks that are full: said where the person looks, and what is made room for goes on by itself. The
// small disks are mounts in memory, which only root can make.
import { roomMain } from "@shoal/daemon/room-main";
import { mebibyte, minuteMs } from "@shoal/core/units";
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet, type Seeder } from "./fleet.ts";
import { allHealthy, build, deploy } from "./person.ts";
import { SampleProject } from "./sample-project.ts";
import { runNode } from "./shoal-command.ts";
import { waitFor } from "./wait-for.ts";

const service = "sample";
const testMsMax = 3 * minuteMs;
const isRoot = process.getuid?.() === 0;

let fleet: Fleet;
let seeder: Seeder;
const mounts: string[] = [];

/** A folder on a disk of its own; `resize` makes room. */
async function smallDisk(name: string, mebibytes: number): Promise<string> {
  const path = join(fleet.dir, name);
  await mkdir(path, { mode: 0o755 });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=755`, "tmpfs", path]);
  mounts.push(path);
  return path;
}

function resize(path: string, mebibytes: number): void {
  execFileSync("mount", ["-o", `remount,size=${mebibytes}m`, path]);
}

describe.runIf(isRoot)("a full disk", () => {
  let project: SampleProject;

  beforeAll(async () => {
    fleet = await Fleet.empty();
    await fleet.startControl();
    await fleet.client.regions.create({ name: "eu", home: true, inService: true });
    seeder = await fleet.addSeeder("eu", { storeDir: await smallDisk("small-store", 40) });
    const size = { parts: 8, partBytes: 4 * mebibyte, changed: 8 };
    project = await SampleProject.create(join(fleet.dir, "repository"), size);
    await project.register(fleet.client, service);
  }, testMsMax);

  afterAll(async () => {
    await fleet?.stopAll();
    for (const path of mounts) execFileSync("umount", [path]);
    await fleet?.[Symbol.asyncDispose]();
  }, minuteMs);

  test(
    "too small for a builder's tools is named when it starts",
    { timeout: minuteMs },
    async () => {
      const workDir = await smallDisk("tiny-builder", 8);
      const config = join(fleet.dir, "tiny-builder.json");
      const where = { controlPlaneUrl: fleet.url, joinToken: "none", name: "builder-0" };
      const keyFile = fleet.keys.builderKeyFile;
      await writeFile(config, JSON.stringify({ ...where, keyFile, workDir, sandbox: "none" }));
      const end = await runNode([roomMain("builder"), "--config", config]);
      expect(end.status).toBe(2);
      expect(end.stderr.trimEnd().split("\n").at(-1)).toMatch(/builder_disk_full.*workDir/);
    },
  );

  test("of a builder is the builder's fault, not the build's", { timeout: testMsMax }, async () => {
    const workDir = await smallDisk("small-builder", 4000);
    await fleet.addBuilder("builder-1", { workDir });
    resize(workDir, 300);
    const { id } = await fleet.client.builds.start({
      project: service,
      commit: await project.commit("v1"),
    });
    const failed = await waitFor("the first attempt to fail", minuteMs, async () => {
      const now = await fleet.client.builds.get(id);
      return now.failure === null ? null : now;
    });
    expect(failed.failure).toMatchObject({ blame: "system" });
    expect(`${failed.failure?.code} ${failed.failure?.message}`).toMatch(/disk/);
    resize(workDir, 4000);
    const ended = await waitFor("the build to succeed", testMsMax, async () => {
      const now = await fleet.client.builds.get(id);
      return now.endedAt === null ? null : now;
    });
    expect(ended).toMatchObject({ state: "SUCCEEDED", failure: null });
  });

  test(
    "of a seeder is told with the build, which goes on when there is room",
    { timeout: testMsMax },
    async () => {
      const { id } = await fleet.client.builds.start({
        project: service,
        commit: await project.commit("v2"),
      });
      const failed = await waitFor("the first attempt to fail", minuteMs, async () => {
        const now = await fleet.client.builds.get(id);
        return now.failure === null ? null : now;
      });
      expect(failed.failure).toMatchObject({ blame: "system", code: "publish_failed" });
      expect(failed.failure?.message).toMatch(/disk|space/i);
      resize(join(fleet.dir, "small-store"), 500);
      const ended = await waitFor("the build to succeed", testMsMax, async () => {
        const now = await fleet.client.builds.get(id);
        return now.endedAt === null ? null : now;
      });
      expect(ended).toMatchObject({ state: "SUCCEEDED", failure: null });
    },
  );

  test(
    "of a host is in its status, and the host goes on when there is room",
    { timeout: testMsMax },
    async () => {
      const stateDir = await smallDisk("small-host", 16);
      await fleet.addHost("host-1", seeder, { stateDir });
      const built = await build(fleet, service, await project.commit("v3"));
      expect(built).toMatchObject({ state: "SUCCEEDED" });
      const deploying = deploy(fleet, service, built);
      const said = await waitFor("the host to say it", minuteMs, async () => {
        const [host] = await fleet.hosts();
        const text = JSON.stringify(host?.services ?? []);
        return /disk|space/i.test(text) ? text : null;
      });
      expect(said).toMatch(/disk_too_small|ENOSPC|space/);
      resize(stateDir, 500);
      const rollout = await deploying;
      expect(rollout).toMatchObject({ state: "SUCCEEDED" });
      await allHealthy(fleet, 1, rollout.release.id);
    },
  );
});
