// Limits of a program as a whole: memory, processors, processes, by control groups of either version. Each
// program that has limits gets a group of its own, named by its mark, below one for this agent; what can't
// be limited isn't started. Groups outlive the agent, as programs do, and empty ones are cleared away.
import { type CgroupPlace, type Controller, findCgroups } from "@shoal/daemon/cgroup-place";
import { ShoalError } from "@shoal/core/error";
import type { ProgramLimits } from "@shoal/core/rollout/release";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProgramGroup {
  /** Puts a process in, before it starts anything. Throws `limits_unavailable`. */
  admit(pid: number): Promise<void>;
}

export interface ProgramGroups {
  /** Makes the group of a program. Throws `limits_unavailable` where these limits can't be held. */
  make(mark: string, limits: ProgramLimits): Promise<ProgramGroup>;
  /** Removes a program's group when nothing is in it any more; of one without limits there is none. */
  drop(mark: string): Promise<void>;
  /** Removes what is empty; programs that run on keep their groups. */
  close(): Promise<void>;
}

const cpuPeriodMicros = 100_000;

/**
 * Groups of one agent; `scope` tells them from those of others on the machine. Nothing is made before a
 * program needs it.
 */
export function programGroups(scope: string): ProgramGroups {
  let opening: Promise<ProgramGroups> | null = null;
  return {
    make: async (mark, limits) => {
      opening ??= openGroups(scope);
      return (await opening).make(mark, limits);
    },
    drop: async (mark) => (await opening)?.drop(mark),
    close: async () => (await opening)?.close(),
  };
}

/** Never throws. */
async function openGroups(scope: string): Promise<ProgramGroups> {
  const reasons: string[] = [];
  for (const place of findCgroups(
    await readText("/proc/self/mountinfo"),
    await readText("/proc/self/cgroup"),
  )) {
    try {
      const parents = await makeParents(place, `shoal-agent-${scope}`);
      const groups = new Groups(place.version, parents);
      await groups.sweep();
      return groups;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      reasons.push(`version ${place.version}: ${reason}`);
    }
  }
  return new NoGroups(reasons.length === 0 ? "this machine has none" : reasons.join("; "));
}

/** Of a machine on which nothing can be limited: programs without limits run, others don't. */
class NoGroups implements ProgramGroups {
  readonly #why: string;

  constructor(why: string) {
    this.#why = why;
  }

  async make(): Promise<never> {
    throw unavailable(`no control group can be written: ${this.#why}`);
  }

  async drop(): Promise<void> {
    // There is nothing to remove.
  }

  async close(): Promise<void> {
    // Nor here.
  }
}

class Groups implements ProgramGroups {
  readonly #version: 1 | 2;
  readonly #parents: ReadonlyMap<Controller, string>;

  constructor(version: 1 | 2, parents: ReadonlyMap<Controller, string>) {
    this.#version = version;
    this.#parents = parents;
  }

  async make(mark: string, limits: ProgramLimits): Promise<ProgramGroup> {
    try {
      for (const folder of this.#folders(mark)) await mkdir(folder, { recursive: true });
      for (const { controller, file, value, isOptional } of settingsOf(this.#version, limits)) {
        const parent = this.#parents.get(controller);
        if (parent === undefined) throw new Error(`there is no ${controller} controller`);
        // Never created by us: a file that isn't there is a limit that the kernel doesn't know.
        const write = writeFile(join(parent, mark, file), value, { flag: "r+" });
        await (isOptional ? write.catch(() => undefined) : write);
      }
    } catch (cause) {
      await this.drop(mark);
      throw unavailable(cause instanceof Error ? cause.message : String(cause));
    }
    return { admit: (pid) => this.#admit(mark, pid) };
  }

  async drop(mark: string): Promise<void> {
    // One that isn't empty is tried again at the agent's next start.
    for (const folder of this.#folders(mark)) await removeGroup(folder);
  }

  async close(): Promise<void> {
    await this.sweep();
    for (const parent of new Set(this.#parents.values()))
      await rmdir(parent).catch(() => undefined);
  }

  async sweep(): Promise<void> {
    for (const parent of new Set(this.#parents.values())) {
      for (const entry of await readdir(parent, { withFileTypes: true })) {
        if (entry.isDirectory()) await rmdir(join(parent, entry.name)).catch(() => undefined);
      }
    }
  }

  async #admit(mark: string, pid: number): Promise<void> {
    try {
      for (const folder of this.#folders(mark))
        await writeFile(join(folder, "cgroup.procs"), String(pid), { flag: "r+" });
    } catch (cause) {
      throw unavailable(cause instanceof Error ? cause.message : String(cause));
    }
  }

  #folders(mark: string): readonly string[] {
    return [...new Set(this.#parents.values())].map((parent) => join(parent, mark));
  }
}

async function makeParents(
  { version, folders }: CgroupPlace,
  name: string,
): Promise<ReadonlyMap<Controller, string>> {
  const own = folders.get("memory") ?? "";
  const offered =
    version === 1
      ? [...folders.keys()]
      : (await readFile(join(own, "cgroup.controllers"), "utf8")).trim().split(" ");
  for (const needed of ["memory", "pids"])
    if (!offered.includes(needed)) throw new Error(`there is no ${needed} controller`);
  const usable = [...folders].filter(([controller]) => offered.includes(controller));
  const parents = new Map(usable.map(([controller, folder]) => [controller, join(folder, name)]));
  for (const folder of new Set(parents.values())) await mkdir(folder, { recursive: true });
  if (version === 1) return parents;
  // Version 2 hands controllers down by request, and only from groups without processes of their own.
  const request = [...parents.keys()].map((controller) => `+${controller}`).join(" ");
  try {
    await writeFile(join(own, "cgroup.subtree_control"), request);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    await moveAside(own, `${name}-rest`);
    await writeFile(join(own, "cgroup.subtree_control"), request);
  }
  await writeFile(join(own, name, "cgroup.subtree_control"), request);
  return parents;
}

/** A unit with `Delegate=yes` starts in the group that it may divide: with all that is in it, it moves. */
async function moveAside(own: string, name: string): Promise<void> {
  await mkdir(join(own, name), { recursive: true });
  for (const pid of (await readFile(join(own, "cgroup.procs"), "utf8")).trim().split("\n")) {
    await writeFile(join(own, name, "cgroup.procs"), pid);
  }
}

interface Setting {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  /** Kernels are built without it; the limit holds well enough. */
  readonly isOptional: boolean;
}

/** What is written into a new group's files. */
export function settingsOf(version: 1 | 2, limits: ProgramLimits): readonly Setting[] {
  const { memoryBytesMax, cpuPercentMax, processesMax } = limits;
  const settings: Setting[] = [];
  const add = (controller: Controller, file: string, value: string, isOptional = false): void => {
    settings.push({ controller, file, value, isOptional });
  };
  if (memoryBytesMax !== null) {
    const bytes = String(memoryBytesMax);
    add("memory", version === 2 ? "memory.max" : "memory.limit_in_bytes", bytes);
    if (version === 2) add("memory", "memory.swap.max", "0", true);
    else add("memory", "memory.memsw.limit_in_bytes", bytes, true);
    // All of the program or nothing: half a program answers health checks and does no work.
    if (version === 2) add("memory", "memory.oom.group", "1", true);
  }
  if (processesMax !== null) add("pids", "pids.max", String(processesMax));
  if (cpuPercentMax !== null) {
    const quota = String((cpuPercentMax * cpuPeriodMicros) / 100);
    if (version === 2) add("cpu", "cpu.max", `${quota} ${cpuPeriodMicros}`);
    else {
      add("cpu", "cpu.cfs_period_us", String(cpuPeriodMicros));
      add("cpu", "cpu.cfs_quota_us", quota);
    }
  }
  return settings;
}

/** The kernel lets go of a group a moment after its last process. Never throws. */
async function removeGroup(folder: string): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    const code = await rmdir(folder).then(
      () => "",
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    );
    if (code !== "EBUSY") return;
    await sleep(20);
  }
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => ""); // Not Linux as we know it: no control groups then.
}

function unavailable(why: string): ShoalError {
  return new ShoalError("limits_unavailable", `The service's limits can't be held here: ${why}.`, {
    blame: "environment",
    hint: "Run the agent as root, or as a systemd unit with Delegate=yes",
  });
}
