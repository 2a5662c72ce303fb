// Limits by control groups, versions 1 and 2. Each build has a group of its own below one for this
// builder, below the group that the builder itself is in: the builder and its heartbeat stay outside
// the build's limits. A builder's groups are named for its scope, so that a later life finds them.
import { mkdir, readFile, readdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BuildLimits } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import { buildKillMsMax } from "@shoal/core/limits";
import { type ProcessId, identifyProcess, killUntilGone } from "../processes.ts";
import type { CgroupPlace, Controller } from "@shoal/daemon/cgroup-place";
import type { LimitGroup, Limiter } from "./limiter.ts";

const cpuPeriodMicros = 100_000;

export interface Setting {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  /** Kernels are built without it; the limit holds well enough. */
  readonly optional?: boolean;
}

/**
 * Opens one of the places that `findCgroups` found: makes this builder's group in it and tries that a
 * build's group can be made. Throws whatever the file system says when it can't be used.
 */
export async function openCgroupLimiter(place: CgroupPlace, scope: string): Promise<Limiter> {
  for (const needed of ["memory", "pids"] as const) {
    if (!place.folders.has(needed)) throw unusable(`has no ${needed} controller`);
  }
  const parents = new Map<Controller, string>();
  for (const [controller, folder] of place.folders)
    parents.set(controller, join(folder, `shoal-${scope}`));
  if (place.version === 2) await delegate(place, parents, scope);
  else for (const folder of parents.values()) await mkdir(folder, { recursive: true });
  const limiter = new CgroupLimiter(place.version, parents);
  await limiter.sweep();
  const group = await limiter.create("probe", probeLimits);
  await group.remove();
  return limiter;
}

const probeLimits: BuildLimits = {
  memoryBytesMax: 1024 ** 3,
  cpuPercentMax: 100,
  processesMax: 16,
  timeoutMs: 1000,
  diskBytesMax: 1024 ** 3,
};

/** Version 2 hands controllers down by request, and only from groups that have no process of their own. */
async function delegate(
  place: CgroupPlace,
  parents: Map<Controller, string>,
  scope: string,
): Promise<void> {
  const own = place.folders.get("memory") ?? "";
  const offered = new Set(
    (await readFile(join(own, "cgroup.controllers"), "utf8")).trim().split(" "),
  );
  for (const needed of ["memory", "pids"]) {
    if (!offered.has(needed)) throw unusable(`doesn't offer the ${needed} controller`);
  }
  if (!offered.has("cpu")) parents.delete("cpu");
  const request = [...parents.keys()].map((controller) => `+${controller}`).join(" ");
  const parent = join(own, `shoal-${scope}`);
  await mkdir(parent, { recursive: true });
  try {
    await writeFile(join(own, "cgroup.subtree_control"), request);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    await moveAside(own, scope);
    await writeFile(join(own, "cgroup.subtree_control"), request);
  }
  await writeFile(join(parent, "cgroup.subtree_control"), request);
}

/** A service with `Delegate=yes` starts in the group that it may divide: only we are in it, so we move. */
async function moveAside(own: string, scope: string): Promise<void> {
  const pids = (await readFile(join(own, "cgroup.procs"), "utf8")).trim().split("\n");
  if (pids.some((pid) => Number(pid) !== process.pid)) throw unusable("has other processes in it");
  const aside = join(own, `shoal-${scope}-builder`);
  await mkdir(aside, { recursive: true });
  await writeFile(join(aside, "cgroup.procs"), String(process.pid));
}

class CgroupLimiter implements Limiter {
  readonly describe: string;
  readonly #version: 1 | 2;
  readonly #parents: ReadonlyMap<Controller, string>;

  constructor(version: 1 | 2, parents: ReadonlyMap<Controller, string>) {
    const missing = parents.has("cpu") ? "" : ", processors unlimited";
    this.describe = `cgroup version ${version}${missing}`;
    this.#version = version;
    this.#parents = parents;
  }

  async create(id: string, limits: BuildLimits): Promise<LimitGroup> {
    const folders = new Map<Controller, string>();
    for (const [controller, parent] of this.#parents) folders.set(controller, join(parent, id));
    for (const folder of new Set(folders.values())) await mkdir(folder);
    const group = new Cgroup(this.#version, folders);
    try {
      for (const setting of cgroupSettings(this.#version, limits))
        await applySetting(folders, setting);
    } catch (error) {
      await group.remove();
      throw error;
    }
    return group;
  }

  async sweep(): Promise<void> {
    for (const parent of new Set(this.#parents.values())) {
      for (const entry of await readdir(parent, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const left = new Cgroup(this.#version, new Map([["pids", join(parent, entry.name)]]));
        await left.kill(buildKillMsMax);
        await left.remove();
      }
    }
  }

  async close(): Promise<void> {
    for (const parent of new Set(this.#parents.values())) await removeGroup(parent);
  }
}

class Cgroup implements LimitGroup {
  readonly joinFiles: readonly string[];
  readonly #version: 1 | 2;
  readonly #folders: ReadonlyMap<Controller, string>;
  readonly #paths: readonly string[];

  constructor(version: 1 | 2, folders: ReadonlyMap<Controller, string>) {
    this.#version = version;
    this.#folders = folders;
    this.#paths = [...new Set(folders.values())];
    this.joinFiles = this.#paths.map((folder) => join(folder, "cgroup.procs"));
  }

  async oomKillCount(): Promise<number> {
    const file = this.#version === 1 ? "memory.oom_control" : "memory.events";
    const text = await readFile(join(this.#folders.get("memory") ?? "", file), "utf8");
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  async kill(deadlineMs: number): Promise<void> {
    // Nothing new can be forked while the rest is killed. An older kernel may refuse; the loop still ends.
    for (const folder of this.#paths) {
      await writeFile(join(folder, "pids.max"), "0", { flag: "r+" }).catch(() => undefined);
    }
    await killUntilGone(() => this.#processes(), deadlineMs);
  }

  async remove(): Promise<void> {
    for (const folder of this.#paths) await removeGroup(folder);
  }

  async #processes(): Promise<readonly ProcessId[]> {
    const found: ProcessId[] = [];
    for (const file of this.joinFiles) {
      for (const line of (await readFile(file, "utf8")).split("\n")) {
        const id = line === "" ? undefined : await identifyProcess(Number(line));
        if (id !== undefined) found.push(id);
      }
    }
    return found;
  }
}

/** What is written into a new group's files. */
export function cgroupSettings(version: 1 | 2, limits: BuildLimits): readonly Setting[] {
  const memory = String(limits.memoryBytesMax);
  const pids = {
    controller: "pids",
    file: "pids.max",
    value: String(limits.processesMax),
  } as const;
  const quota = String((limits.cpuPercentMax * cpuPeriodMicros) / 100);
  if (version === 2) {
    return [
      { controller: "memory", file: "memory.max", value: memory },
      { controller: "memory", file: "memory.swap.max", value: "0", optional: true },
      { controller: "memory", file: "memory.oom.group", value: "1", optional: true },
      pids,
      { controller: "cpu", file: "cpu.max", value: `${quota} ${cpuPeriodMicros}` },
    ];
  }
  return [
    { controller: "memory", file: "memory.limit_in_bytes", value: memory },
    { controller: "memory", file: "memory.memsw.limit_in_bytes", value: memory, optional: true },
    pids,
    { controller: "cpu", file: "cpu.cfs_period_us", value: String(cpuPeriodMicros) },
    { controller: "cpu", file: "cpu.cfs_quota_us", value: quota },
  ];
}

async function applySetting(
  folders: ReadonlyMap<Controller, string>,
  { controller, file, value, optional }: Setting,
): Promise<void> {
  const folder = folders.get(controller);
  if (folder === undefined) return;
  try {
    // Never created by us: a file that isn't there is a limit that the kernel doesn't know.
    await writeFile(join(folder, file), value, { flag: "r+" });
  } catch (error) {
    if (optional !== true) throw error;
  }
}

/** The kernel lets go of a group a moment after its last process. */
async function removeGroup(folder: string): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || performance.now() - startMs > buildKillMsMax) throw error;
    }
    await sleep(10);
  }
}

function unusable(why: string): ShoalError {
  return new ShoalError("cgroup_unusable", `The builder's control group ${why}.`, {
    blame: "environment",
  });
}
