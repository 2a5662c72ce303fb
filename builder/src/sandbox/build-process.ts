// The process tree of one build: started, listened to, and ended so that nothing of it is left. Knows
// the process that Node started and, in bubblewrap, the first process of its PID namespace, with which
// everything in there dies.
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { ShoalError } from "@shoal/core/error";
import { buildKillMsMax } from "@shoal/core/limits";
import {
  type ProcessId,
  identifyProcess,
  isAlive,
  killProcess,
  killUntilGone,
  markedProcesses,
} from "../processes.ts";
import { killGroup } from "@shoal/daemon/program";
import { statusFd } from "./launch.ts";
import type { LimitGroup } from "./limiter.ts";
import type { LogPipe } from "./log-pipe.ts";

export interface BuildProcessInput {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What the processes' mark begins with. */
  readonly mark: string;
  readonly pipe: LogPipe;
  /** An open file with the filter of system calls, or null. */
  readonly filterFile: number | null;
  /** Whether bubblewrap reports on `statusFd`. */
  readonly reports: boolean;
  readonly group: LimitGroup | null;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Far more than bubblewrap ever writes there. */
const reportBytesMax = 65_536;

export class BuildProcess {
  /** The end of the process that Node started; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly #input: BuildProcessInput;
  readonly #child: ChildProcess;
  readonly #reported: Promise<void>;
  #self: ProcessId | undefined;
  #init: ProcessId | undefined;
  #exitCode: number | undefined;

  private constructor(input: BuildProcessInput, child: ChildProcess) {
    this.#input = input;
    this.#child = child;
    const ended = Promise.withResolvers<ProcessEnd>();
    this.ended = ended.promise;
    child.once("exit", (exitCode, signal) => ended.resolve({ exitCode, signal }));
    const reports = child.stdio[statusFd];
    this.#reported =
      reports === undefined || reports === null
        ? Promise.resolve()
        : this.#listen(reports as Readable);
  }

  /** @throws ShoalError `sandbox_failed` when nothing could be started at all. */
  static async start(input: BuildProcessInput): Promise<BuildProcess> {
    const [program = "", ...args] = input.argv;
    const { pipe, filterFile, reports } = input;
    const extra = reports ? ["pipe" as const, ...(filterFile === null ? [] : [filterFile])] : [];
    const child = spawn(program, args, {
      cwd: input.cwd,
      env: { ...input.environment },
      stdio: ["ignore", pipe.writeFd, pipe.writeFd, ...extra],
      detached: true,
    });
    const started = Promise.withResolvers<void>();
    child.once("spawn", () => started.resolve());
    child.once("error", (cause) => started.reject(cause));
    const tree = new BuildProcess(input, child);
    try {
      await started.promise;
    } catch (cause) {
      const options = { blame: "environment", retryable: true, cause } as const;
      throw new ShoalError(
        "sandbox_failed",
        `The build can't be started: ${String(cause)}`,
        options,
      );
    } finally {
      pipe.closeWriteEnd();
    }
    tree.#self = child.pid === undefined ? undefined : await identifyProcess(child.pid);
    return tree;
  }

  get reports(): boolean {
    return this.#input.reports;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** After `ended`: the command's own exit code, or undefined when bubblewrap never got to start it. */
  async reportedExitCode(): Promise<number | undefined> {
    await this.#reported;
    return this.#exitCode;
  }

  /** Kills everything and waits until it is gone. @throws ShoalError `processes_left` */
  async end(): Promise<void> {
    if (this.#init !== undefined && (await isAlive(this.#init))) killProcess(this.#init.pid);
    if (this.#self !== undefined && (await isAlive(this.#self))) killGroup(this.#self.pid);
    await this.#input.group?.kill(buildKillMsMax);
    await killUntilGone(() => this.#living(), buildKillMsMax);
  }

  async #living(): Promise<readonly ProcessId[]> {
    const known = [this.#init, this.#self].filter((id) => id !== undefined);
    const alive = await Promise.all(known.map((id) => isAlive(id)));
    const marked = await markedProcesses(this.#input.mark);
    return [...known.filter((_, index) => alive[index]), ...marked];
  }

  /** One JSON object a line: `{"child-pid":…}` at the start, `{"exit-code":…}` at the command's end. */
  async #listen(reports: Readable): Promise<void> {
    let text = "";
    try {
      for await (const portion of reports as AsyncIterable<Buffer>) {
        text += portion.toString("utf8");
        if (text.length > reportBytesMax) break;
        const pid = /"child-pid":\s*(\d+)/.exec(text)?.[1];
        if (pid !== undefined) this.#init ??= await identifyProcess(Number(pid));
      }
    } catch {
      // The pipe broke with bubblewrap's end: what was said until then counts.
    }
    const exitCode = /"exit-code":\s*(\d+)/.exec(text)?.[1];
    if (exitCode !== undefined) this.#exitCode = Number(exitCode);
  }
}
