// What the kernel says about processes, by /proc: whether one still is the process that it was, and who
// belongs to a program. A pid alone names nobody, since the kernel uses numbers again: a process is
// named by its pid and start time within one boot of the machine.
import { readdir, readFile } from "node:fs/promises";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/<pid>/stat (proc(5)). */
  readonly startTicks: number;
}

interface ProcessFacts extends ProcessIdentity {
  readonly session: number;
}

/** Every process of a program has this variable, unless it cleared its environment. */
export const markVariable = "SHOAL_INSTANCE";

/** Null when there is no such process, or only a zombie: that is gone, and its parent's to clear away. */
export async function findProcess(pid: number): Promise<ProcessFacts | null> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // The name is in parentheses and may contain anything, also parentheses and spaces.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, , , session] = fields;
  const startTicks = Number(fields[19]);
  if (session === undefined || !Number.isSafeInteger(startTicks)) return null;
  if (state === "Z" || state === "X") return null;
  return { pid, session: Number(session), startTicks };
}

/** Whether the very process that was recorded still runs. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await findProcess(identity.pid))?.startTicks === identity.startTicks;
}

/**
 * Live processes of a program: of the session that it was started in, or with its mark in their
 * environment. None that is older than the program, and none of a stranger's session that has come
 * to the same number.
 */
export async function processesOf(
  leader: ProcessIdentity,
  mark: string,
): Promise<readonly ProcessIdentity[]> {
  const rows = (await allProcesses()).filter((row) => row.startTicks >= leader.startTicks);
  const sameNumber = rows.find(({ pid }) => pid === leader.pid);
  const isNumberOurs =
    sameNumber === undefined ? true : sameNumber.startTicks === leader.startTicks;
  const found: ProcessIdentity[] = [];
  for (const row of rows) {
    const isOfSession = isNumberOurs && row.session === leader.pid;
    if (isOfSession || (await hasMark(row.pid, mark))) found.push(row);
  }
  return found;
}

/** The oldest process with this mark that leads a session: the program itself. Null when there is none. */
export async function findByMark(mark: string): Promise<ProcessIdentity | null> {
  const leaders = (await allProcesses()).filter(({ pid, session }) => pid === session);
  for (const { pid, startTicks } of leaders.toSorted((a, b) => a.startTicks - b.startTicks))
    if (await hasMark(pid, mark)) return { pid, startTicks };
  return null;
}

async function allProcesses(): Promise<readonly ProcessFacts[]> {
  const names = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const rows: ProcessFacts[] = [];
  for (const name of names) {
    const row = await findProcess(Number(name));
    if (row !== null) rows.push(row);
  }
  return rows;
}

/** False also for processes that we may not look at: another user's can't be our program's. */
async function hasMark(pid: number, mark: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return environment.split("\0").includes(`${markVariable}=${mark}`);
}
