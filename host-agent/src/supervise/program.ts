// One running program: started detached from the agent in a session of its own, so that it outlives
// the agent; found again by pid and start time; ended with everything that it started. It counts as
// ended only when nothing of it is left.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { programKillPauseMs, programPollMs } from "@shoal/core/limits";
import {
  findProcess,
  isAlive,
  markVariable,
  processesOf,
  type ProcessIdentity,
} from "./process-table.ts";
import type { ProgramGroup } from "./program-groups.ts";
import { openProgramLog } from "./program-log.ts";

export interface ProgramUser {
  readonly uid: number;
  readonly gid: number;
}

export interface ProgramSpec {
  /** Program and arguments, not empty. Never seen by a shell. */
  readonly command: readonly string[];
  readonly directory: string;
  /** The whole environment but for the mark: nothing of the agent's is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Names this start; its processes are known by it. */
  readonly mark: string;
  /** Null: as the agent's own user. */
  readonly user: ProgramUser | null;
  /** Of the address space of each process. */
  readonly memoryBytesMax: number | null;
  /** Where its limits are held; null for none. */
  readonly group: ProgramGroup | null;
}

/** Starts a program. Throws `program_not_started` when the system refuses, or what `admit` throws. */
export async function startProgram(spec: ProgramSpec): Promise<Program> {
  const log = await openProgramLog(spec.logFile);
  try {
    const [file, ...args] = limitedCommand(spec);
    const child = spawn(file ?? "", args, {
      cwd: spec.directory,
      env: { ...spec.environment, [markVariable]: spec.mark },
      detached: true,
      stdio: ["ignore", log.fd, log.fd, ...(spec.group === null ? [] : (["pipe"] as const))],
      ...(spec.user === null ? {} : spec.user),
    });
    await spawned(child, spec);
    await admit(child, spec.group);
    child.unref();
    const pid = child.pid ?? 0;
    // Without a start time it has ended already, which its exit tells; 0 is no living process's.
    const startTicks = (await findProcess(pid))?.startTicks ?? 0;
    return new Program({ pid, startTicks }, spec.mark, childExit(child));
  } finally {
    await log.close();
  }
}

/** A program of an earlier life of the agent, or null when it doesn't run any more. */
export async function adoptProgram(
  identity: ProcessIdentity,
  mark: string,
): Promise<Program | null> {
  return (await isAlive(identity)) ? new Program(identity, mark, pollExit(identity)) : null;
}

export class Program {
  readonly identity: ProcessIdentity;
  /** Resolves, with how it ended, once nothing of the program is left. Never rejects. */
  readonly exited: Promise<string>;
  readonly #mark: string;
  #isGone = false;

  constructor(identity: ProcessIdentity, mark: string, leaderExit: Promise<string>) {
    this.identity = identity;
    this.#mark = mark;
    this.exited = leaderExit.then(async (how) => {
      // What it started must not live on beside the next program, holding its port.
      await this.#killUntilGone();
      this.#isGone = true;
      return how;
    });
  }

  /** SIGTERM to every process of the program, and after `timeoutMs` SIGKILL until nothing is left. */
  async stop(timeoutMs: number): Promise<void> {
    const deadlineAt = performance.now() + timeoutMs;
    const told = new Set<number>();
    while (performance.now() < deadlineAt && !this.#isGone) {
      const left = await processesOf(this.identity, this.#mark);
      if (left.length === 0) break;
      // What was started after the first signal gets it too, each process once.
      for (const { pid } of left.filter((process_) => !told.has(process_.pid))) {
        told.add(pid);
        send(pid, "SIGTERM");
      }
      await Promise.race([this.exited, sleep(programPollMs)]);
    }
    await this.#killUntilGone();
    await this.exited;
  }

  /** Doesn't give up: a process in an uninterruptible wait ends when its disk or network answers. */
  async #killUntilGone(): Promise<void> {
    for (let pauseMs = 1; !this.#isGone; pauseMs = Math.min(programKillPauseMs, pauseMs * 2)) {
      const left = await processesOf(this.identity, this.#mark);
      if (left.length === 0) return;
      for (const { pid } of left) send(pid, "SIGKILL");
      await sleep(pauseMs, undefined, { ref: false });
    }
  }
}

/** With a group it waits until it is told that it is in: nothing that it starts may be outside. */
const waiting = 'read -r _ <&3 || exit 126; exec 3<&-; exec "$@"';

function limitedCommand({ command, memoryBytesMax, group }: ProgramSpec): readonly string[] {
  const limited =
    memoryBytesMax === null ? command : ["prlimit", `--as=${memoryBytesMax}`, "--", ...command];
  return group === null ? limited : ["/bin/sh", "-c", waiting, "sh", ...limited];
}

/** A program that can't be let in ends: its pipe closes before a word is said. */
async function admit(child: ChildProcess, group: ProgramGroup | null): Promise<void> {
  const door = child.stdio[3];
  if (group === null || !(door instanceof Socket)) return;
  door.on("error", () => undefined); // It has ended already, which its exit tells.
  try {
    await group.admit(child.pid ?? 0);
    door.end("\n");
  } finally {
    door.destroySoon();
  }
}

async function spawned(child: ChildProcess, spec: ProgramSpec): Promise<void> {
  try {
    await once(child, "spawn");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError(
      "program_not_started",
      `${spec.command[0] ?? ""} can't be started: ${why}`,
      {
        blame: "remote",
        cause,
      },
    );
  }
}

async function childExit(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode === null
    ? `exited with code ${child.exitCode}`
    : `ended by ${child.signalCode}`;
}

/** Not our child: its exit status is nobody's to know. */
async function pollExit(identity: ProcessIdentity): Promise<string> {
  while (await isAlive(identity)) await sleep(programPollMs, undefined, { ref: false });
  return "ended";
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has just ended, or isn't ours to end: whoever waits for its end keeps looking.
    if (!["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
