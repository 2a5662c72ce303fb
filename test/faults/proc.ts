// Looks at the machine's processes: what is left of a fleet, and whether a program is still the same.
import { readdir, readFile, readlink } from "node:fs/promises";

export interface Process {
  readonly pid: number;
  readonly command: string;
  /** In clock ticks since the machine's start: with the pid it names one process for good. */
  readonly startTicks: number;
}

/** Processes that have `folder` in their command line, environment or working directory, not this one. */
export async function processesOf(folder: string): Promise<readonly Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.filter((pid) => pid !== process.pid).map((pid) => lookAt(pid, folder)),
  );
  return found.filter((one) => one !== null);
}

/** Null when there is no such process (or only its remains, waiting to be collected). */
export async function processOf(pid: number): Promise<Process | null> {
  return lookAt(pid, "");
}

async function lookAt(pid: number, folder: string): Promise<Process | null> {
  const at = `/proc/${pid}`;
  const [command, environment, directory, stat] = await Promise.all([
    readFile(`${at}/cmdline`, "utf8").catch(() => ""),
    readFile(`${at}/environ`, "utf8").catch(() => ""), // Another user's can't be read.
    readlink(`${at}/cwd`).catch(() => ""),
    readFile(`${at}/stat`, "utf8").catch(() => null),
  ]);
  if (stat === null) return null;
  if (![command, environment, directory].some((text) => text.includes(folder))) return null;
  // After the name, which may hold spaces and parentheses: state is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return null;
  return {
    pid,
    command: command.replaceAll("\0", " ").trim(),
    startTicks: Number(fields[19]),
  };
}

/** Kills a process; false when it had ended already. */
export function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    return false;
  }
}
