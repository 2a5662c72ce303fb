// What a killed predecessor left behind: processes that still work on the data folder, and the lock
// file. Two rules: never touch a folder whose owner lives, and never remove the lock while a process
// of the old server lives, because two servers on one folder destroy it.
import { link, readFile, readdir, readlink, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { postgresQuitMsMax, postgresStopMsMax } from "@shoal/core/limits";

/**
 * Takes the folder for this process. Call `release` when Postgres has ended.
 * @throws ShoalError `postgres_dir_in_use` when another living process has it.
 */
export async function claimDirectory(dir: string): Promise<{ release(): Promise<void> }> {
  const path = join(dir, "owner");
  const self = `${process.pid} ${(await startTimeOf(process.pid)) ?? ""}`;
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await createWhole(path, self)) return { release: () => rm(path, { force: true }) };
    const owner = await readFile(path, "utf8").catch(() => "");
    if (await isAlive(owner)) break;
    await rm(path, { force: true });
  }
  throw new ShoalError("postgres_dir_in_use", `another process runs Postgres in ${dir}`, {
    blame: "local",
    hint: "Stop that process, or choose another folder.",
  });
}

/** Makes a file that is never seen without its content; false when there is one. */
async function createWhole(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, text, { mode: 0o600 });
    await link(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** `<pid> <start time>`: the start time tells a process from a later one with the same pid. */
async function isAlive(owner: string): Promise<boolean> {
  const [pid = "", startTime = ""] = owner.split(" ");
  if (!/^\d+$/.test(pid)) return false;
  if (process.platform === "linux") return (await startTimeOf(Number(pid))) === startTime;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Field 22 of /proc/<pid>/stat; undefined for processes that don't exist or wait to be reaped. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name in brackets may hold anything, brackets and spaces included.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state] = fields ?? [];
  return state === "Z" || state === "X" ? undefined : fields?.[19];
}

/**
 * Ends the processes of an earlier server on this data folder and then removes its lock file. Only
 * on Linux, by their working directory; elsewhere Postgres's own check of the lock has to do.
 * @throws ShoalError `postgres_leftover` when one doesn't end.
 */
export async function clearLeftovers(data: string): Promise<void> {
  if (process.platform !== "linux") return;
  const folder = await realpath(data);
  const steps = [
    { signal: "SIGINT", waitMs: postgresStopMsMax },
    { signal: "SIGQUIT", waitMs: postgresQuitMsMax },
    { signal: "SIGKILL", waitMs: postgresQuitMsMax },
  ] as const;
  for (const { signal, waitMs } of steps) {
    if (await allEndAfter(signal, folder, waitMs)) {
      await rm(join(data, "postmaster.pid"), { force: true });
      return;
    }
  }
  throw new ShoalError(
    "postgres_leftover",
    `processes of an earlier Postgres in ${data} don't end`,
    {
      blame: "environment",
    },
  );
}

async function allEndAfter(
  signal: NodeJS.Signals,
  folder: string,
  waitMs: number,
): Promise<boolean> {
  let alive = await processesIn(folder);
  for (const pid of alive) sendSignal(pid, signal);
  const untilMs = performance.now() + waitMs;
  while (alive.length > 0 && performance.now() < untilMs) {
    await sleep(20);
    alive = await processesIn(folder);
  }
  return alive.length === 0;
}

/** Every process of Postgres works in its data folder; nothing else does. */
async function processesIn(folder: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    // Unreadable: another user's, or gone.
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    if (cwd === folder) found.push(Number(pid));
  }
  return found;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
