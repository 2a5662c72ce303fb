// Looks at what a build uses while it runs, and says when it is too much: disk always, memory by the
// kernel's kills in a control group or by adding up its processes where there is none. Also says when
// the builder's own file system runs full, which is not the build's fault. It only tells; whoever
// watches kills.
import { statfs } from "node:fs/promises";
import { type Loop, startLoop } from "@shoal/daemon/loop";
import type { Log } from "@shoal/daemon/log";
import { builderDiskReserveBytes, buildUsagePollMs } from "@shoal/core/limits";
import { treeMemoryBytes } from "../processes.ts";
import { runProgram } from "@shoal/daemon/program";
import type { LimitGroup } from "./limiter.ts";

export type Breach =
  | { readonly type: "outOfMemory" }
  | { readonly type: "outOfDisk"; readonly bytes: number }
  | { readonly type: "builderDiskFull"; readonly availableBytes: number };

export interface UsageWatchInput {
  /** Everything below it counts as the build's disk. */
  readonly folder: string;
  readonly diskBytesMax: number;
  readonly memoryBytesMax: number;
  readonly group: LimitGroup | null;
  /** The process whose descendants are added up when there is no group. */
  readonly rootPid: () => number | undefined;
  readonly searchPath: string;
}

export interface UsageWatch {
  /** Resolves with the first breach; stays pending when there is none. */
  readonly breach: Promise<Breach>;
  stop(): Promise<void>;
}

/** A tree is measured again after this many times the time that measuring it took. */
const diskPauseFactor = 20;
const diskPauseMsMin = 1000;

export function watchUsage(deps: { readonly log: Log }, input: UsageWatchInput): UsageWatch {
  const breach = Promise.withResolvers<Breach>();
  let diskAtMs = 0;
  const look = async (): Promise<void> => {
    const full = await builderDisk(input.folder);
    if (full !== null) breach.resolve(full);
    if (await isOutOfMemory(input)) breach.resolve({ type: "outOfMemory" });
    const startMs = performance.now();
    if (startMs < diskAtMs) return;
    const bytes = await diskBytes(input.folder, input.searchPath);
    if (bytes > input.diskBytesMax) breach.resolve({ type: "outOfDisk", bytes });
    const endMs = performance.now();
    diskAtMs = endMs + Math.max(diskPauseMsMin, (endMs - startMs) * diskPauseFactor);
  };
  const loop: Loop = startLoop({
    name: "build usage",
    intervalMs: buildUsagePollMs,
    run: look,
    log: deps.log,
  });
  return { breach: breach.promise, stop: () => loop.stop() };
}

async function builderDisk(folder: string): Promise<Breach | null> {
  const { bavail, bsize } = await statfs(folder);
  const availableBytes = bavail * bsize;
  return availableBytes < builderDiskReserveBytes
    ? { type: "builderDiskFull", availableBytes }
    : null;
}

async function isOutOfMemory(input: UsageWatchInput): Promise<boolean> {
  if (input.group !== null) return (await input.group.oomKillCount()) > 0;
  const root = input.rootPid();
  return root !== undefined && (await treeMemoryBytes(root)) > input.memoryBytesMax;
}

/** Allocated bytes below a folder; hard links count once, and what vanishes meanwhile doesn't matter. */
export async function diskBytes(folder: string, searchPath: string): Promise<number> {
  const environment = { PATH: searchPath, LC_ALL: "C" };
  const end = await runProgram("du", ["-skx", "--", folder], { environment, timeoutMs: 120_000 });
  return Number(/^\d+/.exec(end.stdout)?.[0] ?? 0) * 1024;
}
