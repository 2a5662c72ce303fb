// Finding and ending processes through /proc: which are alive, who descends from whom, which carry
// our mark in their environment. A pid alone names nobody, since the kernel uses numbers again: a
// process is named by its pid and start time. A zombie counts as gone; only its parent can clear it.
import { readFile, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";

/** Every process that a builder starts has this variable: `<scope>/<run>/`. */
export const markName = "SHOAL_BUILDER_MARK";

export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since the machine's start, as /proc writes it. */
  readonly startTime: string;
}

interface ProcessRow extends ProcessId {
  readonly parent: number;
}

/** The process that has this pid now, or undefined. */
export async function identifyProcess(pid: number): Promise<ProcessId | undefined> {
  return readRow(pid);
}

export async function isAlive(id: ProcessId): Promise<boolean> {
  return (await readRow(id.pid))?.startTime === id.startTime;
}

/** Living processes whose environment has the mark `<prefix>…`, ourselves aside. */
export async function markedProcesses(prefix: string): Promise<readonly ProcessId[]> {
  const found: ProcessId[] = [];
  for (const row of await allRows()) {
    if (row.pid === process.pid) continue;
    const environment = await readProc(row.pid, "environ");
    const marked = environment
      ?.split("\0")
      .some((line) => line.startsWith(`${markName}=${prefix}`));
    if (marked === true) found.push(row);
  }
  return found;
}

/** Bytes of memory that belong to a process and its descendants alone, without file pages. */
export async function treeMemoryBytes(root: number): Promise<number> {
  const children = Map.groupBy(await allRows(), (row) => row.parent);
  const queue = [root];
  let bytes = 0;
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    const status = (await readProc(pid, "status")) ?? "";
    for (const [, kibibytes] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) {
      bytes += Number(kibibytes) * 1024;
    }
    queue.push(...(children.get(pid) ?? []).map((row) => row.pid));
  }
  return bytes;
}

/** Threads that a user has now: where the kernel counts a limit by user, it counts these too. */
export async function threadCount(uid: number): Promise<number> {
  let threads = 0;
  for (const row of await allRows()) {
    const status = (await readProc(row.pid, "status")) ?? "";
    if (Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) !== uid) continue;
    threads += Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return threads;
}

/**
 * Kills what `find` finds, again and again, until it finds nothing.
 * @throws ShoalError `processes_left` when something is still there at the deadline.
 */
export async function killUntilGone(
  find: () => Promise<readonly ProcessId[]>,
  deadlineMs: number,
): Promise<void> {
  const startMs = performance.now();
  for (let pauseMs = 1; ; pauseMs = Math.min(50, pauseMs * 2)) {
    const left = await find();
    if (left.length === 0) return;
    for (const { pid } of left) killProcess(pid);
    if (performance.now() - startMs > deadlineMs) {
      const pids = left.map(({ pid }) => pid).slice(0, 20);
      throw new ShoalError("processes_left", "Killed processes don't end.", {
        blame: "environment",
        hint: "A process in an uninterruptible wait ends only when its disk or network answers.",
        details: { pids },
      });
    }
    await sleep(pauseMs);
  }
}

export function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // ESRCH: it is gone already, which is what we want. EPERM: not ours to kill; the caller's deadline tells.
    if (!["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

async function allRows(): Promise<readonly ProcessRow[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const rows = await Promise.all(names.map((name) => readRow(Number(name))));
  return rows.filter((row) => row !== undefined);
}

/** From /proc/<pid>/stat (proc(5)): the name in parentheses may have spaces and parentheses itself. */
async function readRow(pid: number): Promise<ProcessRow | undefined> {
  const stat = await readProc(pid, "stat");
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent] = fields ?? [];
  const startTime = fields?.[19];
  if (startTime === undefined || state === "Z" || state === "X") return undefined;
  return { pid, parent: Number(parent), startTime };
}

/** Undefined when the process is gone, or not ours to look at. */
async function readProc(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
