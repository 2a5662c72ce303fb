// One health check of a running program: an HTTP request to its port, or a command in its folder.
import { spawn, type ChildProcess } from "node:child_process";
import { get } from "node:http";
import { healthMessageBytesMax } from "@shoal/core/limits";
import type { RunSpec } from "@shoal/core/rollout/release";
import type { ProgramUser } from "./supervise/program.ts";

export interface HealthTarget {
  readonly port: number | null;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly user: ProgramUser | null;
}

export interface HealthResult {
  readonly healthy: boolean;
  /** Why not, for a person; empty when healthy. */
  readonly message: string;
}

/** Never rejects: a check that can't be made has failed. */
export async function checkHealth(
  { health }: Pick<RunSpec, "health">,
  target: HealthTarget,
  signal: AbortSignal,
): Promise<HealthResult> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(health.timeoutMs)]);
  const complaint = await complaintOf(health, target, limit).catch(reasonOf);
  if (complaint === "") return { healthy: true, message: "" };
  const isLate = limit.aborted && !signal.aborted;
  const message = isLate ? `no answer within ${health.timeoutMs} ms` : complaint;
  return { healthy: false, message: message.slice(0, healthMessageBytesMax) };
}

/** What is wrong; empty when nothing is. */
function complaintOf(
  health: RunSpec["health"],
  target: HealthTarget,
  limit: AbortSignal,
): Promise<string> {
  switch (health.type) {
    case "none":
      return Promise.resolve("");
    case "http":
      return target.port === null
        ? Promise.resolve("the release has no port to ask")
        : askHttp(target.port, health.path, limit);
    case "command":
      return runCommand(health.command, target, limit);
  }
}

/** A connection of its own for each check: one kept from the program's last life would tell nothing. */
function askHttp(port: number, path: string, limit: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get(
    { host: "127.0.0.1", port, path, agent: false, signal: limit },
    (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve(status >= 200 && status < 300 ? "" : `${path} answered ${status}`);
    },
  );
  request.once("error", reject);
  return promise;
}

async function runCommand(
  [file = "", ...args]: readonly string[],
  target: HealthTarget,
  limit: AbortSignal,
): Promise<string> {
  const child = spawn(file, args, {
    cwd: target.directory,
    env: target.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...(target.user === null ? {} : target.user),
  });
  const output = keepEnd(child);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.once("error", reject);
  child.once("exit", (code, signal) =>
    resolve(code === 0 ? "" : `${file} ended with ${signal ?? `code ${code}`}`),
  );
  const killAll = (): void => killGroup(child);
  limit.addEventListener("abort", killAll, { once: true });
  if (limit.aborted) killAll();
  try {
    const failure = await promise;
    const lastLine = output().trimEnd().split("\n").at(-1) ?? "";
    return failure === "" || lastLine === "" ? failure : `${failure}: ${lastLine}`;
  } finally {
    limit.removeEventListener("abort", killAll);
    killAll(); // What it left behind.
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Reads all that a command prints, so that it never blocks, and keeps the end. */
function keepEnd(child: ChildProcess): () => string {
  let kept = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      kept = (kept + text).slice(-healthMessageBytesMax);
    });
  return () => kept;
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return "nothing listens on its port";
  return error.message === "" ? (code ?? error.name) : error.message;
}
