// A real Postgres as a direct child of this process, for machines that have none: on loopback, with
// a password, its files under one folder. Survives a kill of either process: the next start goes on
// with the same data. It isn't a production setup of Postgres; DATABASE_URL is the way to one.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, realpath } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import { postgresQuitMsMax, postgresReadyMsMax, postgresStopMsMax } from "@shoal/core/limits";
import { chooseAccount, commandAs, makeReachable } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { BoundedLog } from "./bounded-log.ts";
import { openDataDirectory, superuser } from "./data-directory.ts";
import { claimDirectory, clearLeftovers } from "./leftovers.ts";

/** The part of a log that is used here. */
export interface PostgresLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export interface PostgresOptions {
  /** Folder for data, password and logs; made when it isn't there. */
  readonly dir: string;
  /** Port on 127.0.0.1; a free one when absent. */
  readonly port?: number;
  readonly log: PostgresLog;
}

export interface PostgresServer {
  /** With user and password: a secret. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server has ended, asked to or not. */
  readonly exited: Promise<void>;
  /** Fast shutdown, then immediate, then kill, each under a deadline. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts Postgres and waits until it takes connections.
 * @throws ShoalError `postgres_…`: one readable line about what stands in the way.
 */
export async function startPostgres({ dir, port, log }: PostgresOptions): Promise<PostgresServer> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const folder = await realpath(dir);
  const claim = await claimDirectory(folder);
  try {
    const account = await chooseAccount();
    if (account !== undefined) await makeReachable(folder, account);
    const binaries = await findBinaries(folder, account);
    const { data, password } = await openDataDirectory(folder, binaries, account);
    await clearLeftovers(data);
    const chosen = port ?? (await freePort());
    const { file, args, identity } = commandAs(account, binaries.postgres, settings(data, chosen));
    const child = spawn(file, args, { ...identity, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    const server = new ServerProcess(child, new BoundedLog(join(folder, "postgres.log")));
    await server.ready(data);
    const pid = child.pid ?? 0;
    log.info({ port: chosen, pid, dir: folder }, "postgres is ready");
    const exited = released(server, claim, log);
    const stop = async (): Promise<void> => {
      await server.stop();
      await exited;
    };
    const url = `postgres://${superuser}:${password}@127.0.0.1:${chosen}/postgres`;
    return { url, port: chosen, pid, exited, stop };
  } catch (error) {
    await claim.release();
    throw error;
  }
}

/** Gives the folder back when the server has ended, however it did. */
async function released(
  server: ServerProcess,
  claim: { release(): Promise<void> },
  log: PostgresLog,
): Promise<void> {
  await server.exited;
  if (!server.stopping) log.warn({ reason: server.reason() }, "postgres ended by itself");
  await claim.release();
}

function settings(data: string, port: number): string[] {
  const options = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    timezone: "UTC",
    log_timezone: "UTC",
  };
  const flags = Object.entries(options).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  return ["-D", data, "-p", String(port), ...flags];
}

/** Another process may take it before Postgres does; the start then fails and says so. */
async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer().once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    server.close(() => resolve(port));
  });
  return promise;
}

class ServerProcess {
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #log: BoundedLog;
  #hasExited = false;
  #stopped: Promise<void> | undefined;

  constructor(child: ChildProcess, log: BoundedLog) {
    this.#child = child;
    this.#log = log;
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = (): void => {
      this.#hasExited = true;
      resolve();
    };
    child.once("exit", ended).once("error", (error) => {
      void log.write(`${error.message}\n`);
      ended();
    });
    this.exited = promise;
    const { stderr } = child;
    stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr.pause();
      void log.write(text).then(() => stderr.resume());
    });
  }

  get stopping(): boolean {
    return this.#stopped !== undefined;
  }

  reason(): string {
    return this.#log.reason();
  }

  /** Waits for the server's own word in its lock file, under a deadline. */
  async ready(data: string): Promise<void> {
    const untilMs = performance.now() + postgresReadyMsMax;
    while (!(await this.#saysReady(data))) {
      if (this.#hasExited || performance.now() > untilMs) {
        await this.stop();
        throw new ShoalError("postgres_start_failed", this.reason(), {
          blame: "environment",
          hint: "The log postgres.log in its folder has more.",
        });
      }
      await Promise.race([sleep(10), this.exited]);
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopInSteps();
    return this.#stopped;
  }

  async #stopInSteps(): Promise<void> {
    const steps = [
      { signal: "SIGINT", waitMs: postgresStopMsMax },
      { signal: "SIGQUIT", waitMs: postgresQuitMsMax },
      { signal: "SIGKILL", waitMs: postgresQuitMsMax },
    ] as const;
    for (const { signal, waitMs } of steps) {
      if (this.#hasExited) return;
      this.#child.kill(signal);
      const timer = new AbortController();
      await Promise.race([
        this.exited,
        sleep(waitMs, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
  }

  /** Line 1 is the server's pid, line 8 its state (Postgres, `miscadmin.h`, LOCK_FILE_LINE_…). */
  async #saysReady(data: string): Promise<boolean> {
    const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
    const lines = text.split("\n");
    // A standby never says `ready`, but that it takes connections which read.
    const state = lines[7]?.trim();
    return lines[0] === String(this.#child.pid) && (state === "ready" || state === "standby");
  }
}
