// What the doctor can ask a machine. Checks take only this, so that a test describes a machine in
// a few lines. Nothing here changes anything; a port that is tried is given back at once.
import { boundedText } from "./bounded-text.ts";
import { findBinaries } from "@shoal/postgres/binaries";
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readdir, stat, statfs } from "node:fs/promises";
import { connect as connectTcp, createServer } from "node:net";
import { dirname, resolve } from "node:path";

export interface ProgramEnd {
  readonly ok: boolean;
  /** Standard output, or standard error when the program failed. */
  readonly text: string;
}

export interface FileFacts {
  readonly mode: number;
  readonly isDirectory: boolean;
}

export interface Machine {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly isRoot: boolean;
  readonly now: () => number;
  /** Null when there is no such program. `asUser` runs it as that user, which only root can. */
  run(program: string, args: readonly string[], asUser?: number): Promise<ProgramEnd | null>;
  /** Null when it isn't there or can't be read. */
  readText(path: string): Promise<string | null>;
  /** Null when it isn't there. */
  look(path: string): Promise<FileFacts | null>;
  /** Names in a folder; null when it can't be listed. */
  list(path: string): Promise<readonly string[] | null>;
  isWritable(path: string): Promise<boolean>;
  /** Bytes that this user may still write to the file system of the path's nearest existing folder. */
  freeBytes(path: string): Promise<number>;
  /** "" when the port can be had; otherwise the system's error code. */
  tryPort(host: string, port: number): Promise<string>;
  /** The server's `Date` header, halfway between asking and answer. */
  serverTime(url: string): Promise<{ readonly serverMs: number; readonly localMs: number }>;
  /** The first byte that a server says after these bytes; throws when nobody answers in time. */
  greet(host: string, port: number, bytes: Uint8Array): Promise<number>;
  /** Where Postgres from the npm package is; throws ShoalError when it isn't or doesn't run. */
  embeddedPostgres(): Promise<string>;
}

const programTimeoutMs = 10_000;
const answerTimeoutMs = 5000;

/** The machine that this process runs on. */
export function thisMachine(searchPath: string): Machine {
  return {
    nodeVersion: process.versions.node,
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    now: () => Date.now(),
    run: (program, args, asUser) => runProgram(searchPath, program, args, asUser),
    readText: (path) => boundedText(path).catch(() => null),
    look: (path) =>
      stat(path).then(
        (facts) => ({ mode: facts.mode & 0o777, isDirectory: facts.isDirectory() }),
        () => null,
      ),
    list: (path) => readdir(path).catch(() => null),
    isWritable: (path) =>
      access(path, constants.W_OK).then(
        () => true,
        () => false,
      ),
    freeBytes,
    tryPort,
    serverTime,
    greet,
    embeddedPostgres: async () => (await findBinaries("/", undefined)).postgres,
  };
}

function runProgram(
  searchPath: string,
  program: string,
  args: readonly string[],
  asUser: number | undefined,
): Promise<ProgramEnd | null> {
  const options = {
    cwd: "/",
    env: { PATH: searchPath, LC_ALL: "C" },
    timeout: programTimeoutMs,
    ...(asUser === undefined ? {} : { uid: asUser, gid: asUser }),
  };
  return new Promise((settle) => {
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error?.code === "ENOENT") settle(null);
      else if (error === null) settle({ ok: true, text: stdout.trim() });
      else settle({ ok: false, text: stderr.trim() || error.message });
    });
  });
}

async function freeBytes(path: string): Promise<number> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || folder === dirname(folder)) {
        throw error;
      }
    }
  }
}

function tryPort(host: string, port: number): Promise<string> {
  return new Promise((settle) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => settle("")));
  });
}

async function serverTime(url: string): ReturnType<Machine["serverTime"]> {
  const askedMs = Date.now();
  const response = await fetch(new URL("/livez", url), {
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
  await response.body?.cancel();
  return {
    serverMs: Date.parse(response.headers.get("date") ?? ""),
    localMs: (askedMs + Date.now()) / 2,
  };
}

function greet(host: string, port: number, bytes: Uint8Array): Promise<number> {
  return new Promise((settle, reject) => {
    const socket = connectTcp({ host, port, timeout: answerTimeoutMs });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.once("connect", () => socket.write(bytes));
    socket.once("timeout", () => fail(new Error("no answer in time")));
    socket.once("error", fail);
    socket.once("end", () => fail(new Error("the connection was closed")));
    socket.once("data", (answer: Buffer) => {
      socket.destroy();
      settle(answer[0] ?? 0);
    });
  });
}
