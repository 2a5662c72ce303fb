// Runs one command of a build from start to proven end: output out, limits watched, everything killed
// when one is passed, when time is up or when the caller says so. The same for every kind of sandbox.
import { closeSync, openSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "@shoal/daemon/log";
import { logDrainMsMax } from "@shoal/core/limits";
import { markName } from "../processes.ts";
import { BuildProcess, type ProcessEnd } from "./build-process.ts";
import type { LimitGroup, Limiter } from "./limiter.ts";
import { type LogPipe, openLogPipe } from "./log-pipe.ts";
import type { SandboxEnd, SandboxRun } from "./sandbox.ts";
import { type Breach, watchUsage } from "./usage-watch.ts";

export interface SuperviseDeps {
  readonly log: Log;
  readonly limiter: Limiter | null;
  /** Names this builder's processes and groups. */
  readonly scope: string;
  /** Where mkfifo, du and bwrap are found. */
  readonly searchPath: string;
  /** Whom the build runs as, when the builder is root. */
  readonly uid: number | null;
}

export interface Launch {
  /** The command line, given the group to join. */
  readonly argv: (group: LimitGroup | null) => Promise<readonly string[]>;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly filter: Uint8Array | null;
  readonly reports: boolean;
}

/** @throws ShoalError `sandbox_failed`, `processes_left` */
export async function supervise(
  deps: SuperviseDeps,
  launch: Launch,
  run: SandboxRun,
): Promise<SandboxEnd> {
  const group = (await deps.limiter?.create(run.id, run.limits)) ?? null;
  try {
    const pipe = await openLogPipe({ ...deps, path: join(run.workspace, "output") });
    const tree = await startTree(deps, launch, run, group, pipe);
    try {
      return await follow(deps, run, group, tree, pipe);
    } finally {
      pipe.output.destroy();
    }
  } finally {
    await group?.remove();
  }
}

async function startTree(
  deps: SuperviseDeps,
  launch: Launch,
  run: SandboxRun,
  group: LimitGroup | null,
  pipe: LogPipe,
): Promise<BuildProcess> {
  const filterPath = join(run.workspace, "filter");
  let filterFile: number | null = null;
  if (launch.filter !== null) {
    writeFileSync(filterPath, launch.filter);
    filterFile = openSync(filterPath, "r");
    await rm(filterPath);
  }
  const mark = `${deps.scope}/${run.id}/`;
  try {
    return await BuildProcess.start({
      argv: await launch.argv(group),
      cwd: launch.cwd,
      environment: { ...launch.environment, [markName]: mark },
      mark,
      pipe,
      filterFile,
      reports: launch.reports,
      group,
    });
  } catch (error) {
    pipe.output.destroy();
    throw error;
  } finally {
    if (filterFile !== null) closeSync(filterFile);
  }
}

type Outcome =
  | ({ readonly type: "ended" } & ProcessEnd)
  | { readonly type: "late" }
  | { readonly type: "stopped" }
  | Breach;

async function follow(
  deps: SuperviseDeps,
  run: SandboxRun,
  group: LimitGroup | null,
  tree: BuildProcess,
  pipe: LogPipe,
): Promise<SandboxEnd> {
  const output = new OutputTail();
  const drained = output.drain(pipe, run.onOutput);
  const done = new AbortController();
  const watch = watchUsage(deps, {
    folder: run.workspace,
    diskBytesMax: run.limits.diskBytesMax,
    memoryBytesMax: run.limits.memoryBytesMax,
    group,
    rootPid: () => tree.pid,
    searchPath: deps.searchPath,
  });
  let outcome: Outcome;
  try {
    const pause = { signal: done.signal, ref: false };
    outcome = await Promise.race<Outcome>([
      tree.ended.then((end) => ({ type: "ended" as const, ...end })),
      watch.breach,
      sleep(run.limits.timeoutMs, { type: "late" as const }, pause),
      whenAborted(run.signal, done.signal).then(() => ({ type: "stopped" as const })),
      failureOf(drained),
    ]);
  } finally {
    done.abort();
    await watch.stop();
    await tree.end();
  }
  // The last lines are worth a moment, unless nobody wants them any more.
  const moment = sleep(logDrainMsMax, undefined, { ref: false });
  if (outcome.type !== "stopped") await Promise.race([drained, moment]);
  return outcome.type === "ended" ? judge(outcome, tree, group, output) : outcome;
}

/** What the end of the first process means. */
async function judge(
  end: ProcessEnd,
  tree: BuildProcess,
  group: LimitGroup | null,
  output: OutputTail,
): Promise<SandboxEnd> {
  // The kernel may have killed only one process of many, and a shell may have gone on without it.
  if (group !== null && (await group.oomKillCount()) > 0) return { type: "outOfMemory" };
  const exitCode = tree.reports ? await tree.reportedExitCode() : end.exitCode;
  if (exitCode === undefined) return { type: "notStarted", message: output.text() };
  if (exitCode !== null) return { type: "exited", exitCode };
  return { type: "signalled", signal: end.signal ?? "unknown" };
}

/** Hands the output on and remembers its end, which says why when nothing was started. */
class OutputTail {
  #tail: Buffer = Buffer.alloc(0);

  async drain(pipe: LogPipe, onOutput: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    for await (const bytes of pipe.output as AsyncIterable<Buffer>) {
      this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-tailBytesMax);
      await onOutput(bytes);
    }
  }

  text(): string {
    return this.#tail.toString("utf8").trim();
  }
}

/** Stays pending when the promise resolves. */
function failureOf(promise: Promise<unknown>): Promise<never> {
  const failed = Promise.withResolvers<never>();
  promise.catch((error: unknown) => failed.reject(error));
  return failed.promise;
}

/** Resolves when the signal is aborted; stays pending once `over` is, without keeping its listener. */
function whenAborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true, signal: over });
  return promise;
}

const tailBytesMax = 1000;
