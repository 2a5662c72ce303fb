// CPU time of processes that are not our children, from /proc (proc_pid_stat(5)).
import { execFileSync } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const idleMs = 2000;
/** Of a core, for each process: several times what an agent may use that has nothing to do. */
const idleShareMax = 0.025;
const idleDeadlineMs = 60_000;

/** User and system seconds of a process with all its threads, living or not. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The second field is a name in parentheses that may itself have spaces; utime is the 14th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The process whose command line has both texts. @throws when there isn't exactly one. */
export async function findProcess(program: string, argument: string): Promise<number> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const words = line.split("\0");
    if (words.some((word) => word.endsWith(program)) && words.includes(argument)) {
      found.push(Number(name));
    }
  }
  const [pid] = found;
  if (pid === undefined || found.length > 1) {
    throw new Error(`${found.length} processes run ${program} ${argument}`);
  }
  return pid;
}

/** Resolves when the processes together use almost nothing; rejects when they go on for too long. */
export async function whenIdle(pids: readonly number[]): Promise<void> {
  const startMs = performance.now();
  const total = async (): Promise<number> => {
    const seconds = await Promise.all(pids.map(cpuSeconds));
    return seconds.reduce((sum, each) => sum + each, 0);
  };
  for (let before = await total(); ;) {
    await sleep(idleMs);
    const after = await total();
    if (after - before < (pids.length * idleShareMax * idleMs) / 1000) return;
    if (performance.now() - startMs > idleDeadlineMs)
      throw new Error("the fleet isn't getting idle");
    before = after;
  }
}
