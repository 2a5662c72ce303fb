// Chooses how builds are limited on this machine: the first kind of control group that can be had.
import { readFile } from "node:fs/promises";
import type { Log } from "@shoal/daemon/log";
import { openCgroupLimiter } from "./cgroup.ts";
import { findCgroups } from "@shoal/daemon/cgroup-place";
import type { Limiter } from "./limiter.ts";

/** Null where no control group can be written; the log then says what is missing. */
export async function openLimiter(
  deps: { readonly log: Log },
  scope: string,
): Promise<Limiter | null> {
  for (const place of findCgroups(
    await readText("/proc/self/mountinfo"),
    await readText("/proc/self/cgroup"),
  )) {
    try {
      return await openCgroupLimiter(place, scope);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      deps.log.debug({ version: place.version, reason }, "control groups can't be used");
    }
  }
  deps.log.warn(
    "no control group can be written: builds are limited process by process, and processors by affinity",
  );
  return null;
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => ""); // Not Linux as we know it: no control groups then.
}
