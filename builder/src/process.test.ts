// The builder as a process: what it refuses to start with, what a kill leaves, and how it stops. The
// control plane is a small HTTP server that hands out one lease after another.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync } from "node:fs";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createKey } from "@shoal/trust/key-file";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
const main = new URL("main.ts", import.meta.url).pathname;
const seeder = { region: "home", url: "https://127.0.0.1:1", peerId: createKey().peerId };

let root = "";
let remoteUrl = "";
let commit = "";
let server: Server;
let calls: { readonly path: string; readonly body: string }[] = [];
let buildCommand = "";
let leases = 0;
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const path = request.url ?? "";
      calls.push({ path, body });
      response.setHeader("content-type", "application/json");
      if (path.includes("/log")) response.writeHead(204).end();
      else response.end(JSON.stringify(answer(path)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  calls = [];
  leases = 0;
  root = realpathSync(mkdtempSync(join(tmpdir(), "shoal-builder-")));
  remoteUrl = join(root, "remote");
  mkdirSync(remoteUrl);
  const run = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], {
      cwd: remoteUrl,
      encoding: "utf8",
    }).trim();
  run("init", "--quiet");
  run("commit", "--quiet", "--allow-empty", "--message", "one");
  commit = run("rev-parse", "HEAD");
});

afterEach(async () => {
  // Asked to stop, and not killed: so that they clear away what they made outside of `root`, too.
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
  rmSync(root, { recursive: true, force: true });
});

function answer(path: string): unknown {
  const until = new Date(Date.now() + 30_000).toISOString();
  if (path.includes("/members/")) {
    return { passport: "passport", region: "north", expiresAtMs: Date.now() + 900_000_000 };
  }
  if (path.endsWith("/heartbeat")) return { until, cancel: false, grant: "grant" };
  if (!path.endsWith("/lease")) return { build: 1, state: "FAILED" };
  leases += 1;
  if (leases > 1 || buildCommand === "") return { lease: null };
  return {
    lease: {
      ...{ build: 1, project: "thing", commit, attempt: 1, fence: "9", until, remoteUrl },
      ...{ buildCommand, artifactPath: "out", prepare: null, test: null, seeder, grant: "grant" },
      limits: {
        memoryBytesMax: 512 * 1024 ** 2,
        cpuPercentMax: 200,
        processesMax: 64,
        timeoutMs: 60_000,
        diskBytesMax: 64 * 1024 ** 2,
      },
    },
  };
}

interface Started {
  readonly child: ChildProcess;
  readonly ready: Promise<Record<string, unknown>>;
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
}

function start(flags: readonly string[], path: string = searchPath): Started {
  const { port } = server.address() as AddressInfo;
  const settings = ["--name", "b", "--join-token", "t", "--work-dir", join(root, "work")];
  const where = [
    "--control-plane-url",
    `http://127.0.0.1:${port}`,
    "--key-file",
    join(root, "key"),
  ];
  const child = spawn(process.execPath, [main, ...settings, ...where, ...flags], {
    env: { PATH: path, HOME: root },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let stderr = "";
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString("utf8")));
  const ready = Promise.withResolvers<Record<string, unknown>>();
  child.stdout.once("data", (bytes: Buffer) => {
    ready.resolve(JSON.parse(bytes.toString("utf8")) as Record<string, unknown>);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      ready.reject(new Error(`ended with ${code}: ${stderr}`));
      resolve(code);
    });
  });
  ready.promise.catch(() => undefined);
  return { child, ready: ready.promise, stderr: () => stderr, ended };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!holds()) {
    if (performance.now() - startMs > 45_000) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A line of the build's own, in however many portions its log came. */
const logged = (line: string) => (): boolean =>
  calls
    .filter(({ path }) => path.includes("/log"))
    .map(({ body }) => body)
    .join("")
    .includes(`\n${line}\n`);

/** Processes of this machine whose arguments are these. */
function running(...args: string[]): number {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") === `${args.join("\0")}\0`;
    } catch {
      return false; // It ended meanwhile.
    }
  }).length;
}

/** Everything of the PATH but one program. */
function pathWithout(program: string): string {
  const folder = join(root, "bin");
  mkdirSync(folder);
  for (const at of searchPath.split(":").toReversed()) {
    for (const name of existsSync(at) ? readdirSync(at) : []) {
      rmSync(join(folder, name), { force: true });
      if (name !== program) symlinkSync(join(at, name), join(folder, name));
    }
  }
  return folder;
}

test("says in one line what to install when bubblewrap is missing, and ends with 2", async () => {
  const builder = start([], pathWithout("bwrap"));
  expect(await builder.ended).toBe(2);
  const last = builder.stderr().trim().split("\n").at(-1);
  expect(last).toContain("sandbox_unavailable");
  expect(last).toContain("apt-get install bubblewrap");
}, 30_000);

test("starts without bubblewrap when it is told that builds need no sandbox", async () => {
  const builder = start(["--sandbox", "none"], pathWithout("bwrap"));
  expect(await builder.ready).toMatchObject({ ready: true, name: "b" });
  builder.child.kill("SIGTERM");
  expect(await builder.ended).toBe(0);
}, 30_000);

test("refuses a work folder that another builder uses", async () => {
  const first = start(["--sandbox", "none"]);
  await first.ready;
  const second = start(["--sandbox", "none"]);
  expect(await second.ended).toBe(2);
  expect(second.stderr()).toContain("work_dir_in_use");
}, 30_000);

test("on SIGTERM lets the running build end, takes no other, and ends", async () => {
  buildCommand = "echo has started; sleep 8; exit 4";
  const builder = start(["--sandbox", "none"]);
  await until("the build has started", logged("has started"));
  builder.child.kill("SIGTERM");
  await until("it has said that it drains", () =>
    calls.some(({ path }) => path.endsWith("/drain")),
  );
  expect(await builder.ended).toBe(0);
  const fail = calls.find(({ path }) => path.endsWith("/fail"));
  expect(JSON.parse(fail?.body ?? "{}")).toMatchObject({ failure: { code: "build_failed" } });
  expect(leases).toBe(1);
}, 60_000);

test("on SIGTERM without time to drain gives the running build back", async () => {
  buildCommand = "echo has started; sleep 12345";
  const builder = start(["--sandbox", "none", "--drain-ms", "0"]);
  await until("the build has started", logged("has started"));
  expect(running("sleep", "12345")).toBe(1);
  builder.child.kill("SIGTERM");
  expect(await builder.ended).toBe(0);
  const fail = calls.find(({ path }) => path.endsWith("/fail"));
  expect(JSON.parse(fail?.body ?? "{}")).toMatchObject({
    failure: { code: "builder_stopping", blame: "system" },
  });
  expect(running("sleep", "12345")).toBe(0);
}, 60_000);

test("after kill -9, the next life ends and clears away what the last one left", async () => {
  buildCommand = "echo has started; touch mine; setsid sleep 12346; echo more";
  const workDir = join(root, "work");
  const killed = start(["--sandbox", "none"]);
  await until("the build has started", logged("has started"));
  killed.child.kill("SIGKILL");
  await killed.ended;
  expect(running("sleep", "12346")).toBe(1);
  const elsewhere = join(workDir, "scratch-elsewhere");
  const left = existsSync(elsewhere) ? readFileSync(elsewhere, "utf8") : join(workDir, "builds");
  expect(readdirSync(join(left, "attempts"))).toEqual(["1-1-9"]);
  buildCommand = "";
  const next = start(["--sandbox", "none"]);
  await next.ready;
  expect(running("sleep", "12346")).toBe(0);
  expect(existsSync(join(left, "attempts", "1-1-9"))).toBe(false);
}, 30_000);

test("refuses a key that others can read", async () => {
  const key = join(root, "key");
  writeFileSync(key, JSON.stringify(createKey().exportSecretJwk()));
  chmodSync(key, 0o644);
  const builder = start(["--sandbox", "none"]);
  expect(await builder.ended).toBe(2);
  expect(builder.stderr()).toContain("key_file_exposed");
}, 30_000);
