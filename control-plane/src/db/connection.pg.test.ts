import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { TestServer } from "../test-fleet.ts";
import { inTransaction, openDatabase } from "./connection.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

// The driver as published throws from a timer here, where nobody can catch it, or gives the rollback to
// whoever has the connection next (docs/decisions/0007-a-patched-driver.md).
test("a connection that dies in a transaction fails that transaction, and the pool goes on", async () => {
  const url = await server.emptyDatabase();
  await using stack = new AsyncDisposableStack();
  const pool = openDatabase(url, 2);
  const other = openDatabase(url, 1);
  stack.defer(() => pool.end({ timeout: 5 }));
  stack.defer(() => other.end({ timeout: 5 }));

  const broken = Array.from({ length: 20 }, () =>
    inTransaction(pool, async (queries) => {
      const [row] = await queries`select pg_backend_pid() as pid`;
      const pid = Number(row?.["pid"]);
      const late = queries`select pg_sleep(60)`.catch(() => undefined);
      await other`select pg_terminate_backend(${pid})`;
      await late;
      for (let statement = 0; statement < 3; statement += 1)
        await queries`select ${statement}::int`.catch(() => undefined);
      await queries`select 1`;
    }),
  );
  const ends = await Promise.allSettled(broken);
  expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["rejected"]));

  const sums = Array.from({ length: 100 }, (_unused, index) =>
    inTransaction(pool, async (queries) => {
      const [row] = await queries`select ${index}::int + 1 as sum`;
      return row?.["sum"];
    }),
  );
  expect(await Promise.all(sums)).toEqual(
    Array.from({ length: 100 }, (_unused, index) => index + 1),
  );
});

// The driver as published forgets such a statement where the URL names several servers: it takes what
// happens for the failure of a server that it only tries.
test("the first statement of a connection fails with it, whatever servers there are", async () => {
  const url = await server.emptyDatabase();
  const { host } = new URL(url);
  await using stack = new AsyncDisposableStack();
  const pool = openDatabase(url.replace(host, `${host},${host}`), 1);
  const other = openDatabase(url, 1);
  stack.defer(() => pool.end({ timeout: 5 }));
  stack.defer(() => other.end({ timeout: 5 }));

  const first = pool`select pg_sleep(60)`.then(
    () => "slept",
    () => "failed",
  );
  await vi.waitUntil(
    async () => {
      const ended = await other`
        select pg_terminate_backend(pid) from pg_stat_activity
        where query like 'select pg_sleep%' and datname = current_database()`;
      return ended.length > 0;
    },
    { timeout: 10_000 },
  );
  expect(await first).toBe("failed");
  expect(await pool`select 1 as one`).toEqual([{ one: 1 }]);
});
