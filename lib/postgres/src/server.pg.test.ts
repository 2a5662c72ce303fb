import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShoalError } from "@shoal/core/error";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "./server.ts";

const log = { info: () => undefined, warn: () => undefined };

/** As mkdtemp makes it, 0700: what a demo's state folder is. */
let outer: string;
let dir: string;

beforeAll(async () => {
  outer = await mkdtemp(join(tmpdir(), "shoal-postgres-"));
  dir = join(outer, "state", "postgres");
});

afterAll(async () => {
  await rm(outer, { recursive: true });
});

async function withServer<Result>(
  use: (server: PostgresServer) => Promise<Result>,
): Promise<Result> {
  const server = await startPostgres({ dir, log });
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

async function query(url: string, text: string): Promise<unknown[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined, connect_timeout: 5 });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const cwds = await Promise.all(
    pids.map(async (pid) => ({ pid, cwd: await readlink(`/proc/${pid}/cwd`).catch(() => "") })),
  );
  return cwds.filter(({ cwd }) => cwd === folder).map(({ pid }) => pid);
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within 15 s: ${what}`);
    await sleep(20);
  }
}

/** Another process that starts Postgres and then waits, to be killed. */
async function startElsewhere(environment: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const script = `
    const { startPostgres } = await import(${JSON.stringify(new URL("./server.ts", import.meta.url).href)});
    const log = { info() {}, warn() {} };
    await startPostgres({ dir: ${JSON.stringify(dir)}, log });
    console.log("started");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

describe("embedded Postgres", () => {
  test("starts, answers with a password only, and stops without leaving a process", async () => {
    await withServer(async (server) => {
      expect(await query(server.url, "select 6 * 7 as answer")).toEqual([{ answer: 42 }]);
      await query(
        server.url,
        "create table kept (id int primary key); insert into kept values (1)",
      );
      const wrong = server.url.replace(/:[^:@]+@/, ":wrong@");
      await expect(query(wrong, "select 1")).rejects.toThrow(/password authentication failed/);
      expect((await stat(join(dir, "password"))).mode & 0o777).toBe(0o600);
      expect((await stat(join(dir, "data"))).mode & 0o777).toBe(0o700);
    });
    expect(await processesOf(join(dir, "data"))).toEqual([]);
  });

  test("refuses a folder that a living process has, with one line that says so", async () => {
    await withServer(async () => {
      const error: unknown = await startPostgres({ dir, log }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ShoalError);
      expect(error).toMatchObject({ code: "postgres_dir_in_use" });
    });
  });

  test("keeps committed rows when it is killed, and starts again", async () => {
    await withServer(async (server) => {
      await query(server.url, "insert into kept values (2)");
      process.kill(server.pid, "SIGKILL");
      await server.exited;
    });
    await withServer(async (server) => {
      expect(await query(server.url, "select id from kept order by id")).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
    });
  });

  test("ends with its parent when that is killed, and the next start has the rows", async () => {
    const parent = await startElsewhere(process.env);
    expect(await processesOf(join(dir, "data"))).not.toEqual([]);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    await until(async () => (await processesOf(join(dir, "data"))).length === 0, "Postgres ends");
    await withServer(async (server) => {
      expect(await query(server.url, "select id from kept order by id")).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
    });
  });

  test("takes over from a server that outlived its parent", async () => {
    // Without setpriv the kernel tells nobody.
    const parent = await startElsewhere({ ...process.env, PATH: "/nonexistent" });
    const before = await processesOf(join(dir, "data"));
    parent.kill("SIGKILL");
    await once(parent, "exit");
    expect(await processesOf(join(dir, "data"))).toEqual(expect.arrayContaining(before));
    await withServer(async (server) => {
      expect(before).not.toContain(String(server.pid));
      expect(await query(server.url, "select count(*)::int as rows from kept")).toEqual([
        { rows: 2 },
      ]);
    });
  });

  test("begins anew when a first start was killed half way", async () => {
    const { mkdir, writeFile } = await import("node:fs/promises");
    const fresh = join(outer, "fresh");
    await mkdir(join(fresh, "data.partial"), { recursive: true });
    await writeFile(join(fresh, "data.partial", "PG_VERSION"), "18\n");
    await writeFile(join(fresh, "password.given"), "old");
    const server = await startPostgres({ dir: fresh, log });
    try {
      expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
    } finally {
      await server.stop();
    }
    expect(await readdir(fresh)).not.toContain("data.partial");
    expect(await readdir(fresh)).not.toContain("password.given");
  });

  test("says in one line why it can't start on a port that is taken", async () => {
    const { createServer } = await import("node:net");
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const error: unknown = await startPostgres({ dir, port, log }).catch(
      (reason: unknown) => reason,
    );
    taken.close();
    expect(error).toMatchObject({ code: "postgres_start_failed" });
    expect((error as Error).message).toMatch(/^[^\n]+$/);
    expect(await readFile(join(dir, "postgres.log"), "utf8")).toMatch(/could not bind/);
  });

  test("gives a readable error for data of another version", async () => {
    const { writeFile } = await import("node:fs/promises");
    const path = join(dir, "data", "PG_VERSION");
    await writeFile(path, "9\n");
    const error: unknown = await startPostgres({ dir, log }).catch((reason: unknown) => reason);
    await writeFile(path, "18\n");
    expect(error).toMatchObject({ code: "postgres_version_wrong" });
  });

  test("has left no process and no lock after all of this", async () => {
    expect(await processesOf(join(dir, "data"))).toEqual([]);
    expect(await readdir(dir)).not.toContain("owner");
  });
});
