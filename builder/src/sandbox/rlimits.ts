// The limits that single processes carry, for machines without a writable control group: how many
// processes the build's user may have, and on which processors it may run. Memory is watched instead,
// because an address space limit breaks programs that reserve much and use little, such as Node.
import { readFile } from "node:fs/promises";
import { release } from "node:os";
import type { BuildLimits } from "@shoal/api/control-plane";
import { threadCount } from "../processes.ts";

export interface ProcessLimits {
  readonly processesMax: number;
  /** A list for `taskset --cpu-list`, or null when the build may use all that the builder may. */
  readonly processors: string | null;
}

export async function processLimits(
  limits: BuildLimits,
  user: { readonly uid: number; readonly ownNamespace: boolean },
): Promise<ProcessLimits> {
  // Since Linux 5.14 a user namespace counts its own processes; else all of the user's count.
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const countsAlone = user.ownNamespace && (major > 5 || (major === 5 && minor >= 14));
  const others = countsAlone ? 0 : await threadCount(user.uid);
  const status = await readFile("/proc/self/status", "utf8");
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "";
  return {
    processesMax: limits.processesMax + others,
    processors: firstProcessors(allowed, Math.ceil(limits.cpuPercentMax / 100)),
  };
}

/** The first `count` of a list such as "0-3,8"; null when there are no more than that. */
export function firstProcessors(allowed: string, count: number): string | null {
  const all = allowed.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
  return all.length <= count ? null : all.slice(0, count).join(",");
}
