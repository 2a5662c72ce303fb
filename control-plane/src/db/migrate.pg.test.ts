import { afterAll, beforeAll, expect, test } from "vitest";
import { TestServer } from "../test-fleet.ts";
import { openDatabase } from "./connection.ts";
import { migrate } from "./migrate.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("migrates an empty database once, however many processes start at the same time", async () => {
  const url = await server.emptyDatabase();
  const pools = [openDatabase(url, 2), openDatabase(url, 2), openDatabase(url, 2)];
  const versions = await Promise.all(pools.map((pool) => migrate(pool)));
  expect(new Set(versions).size).toBe(1);
  expect(versions[0]).toBeGreaterThanOrEqual(1);
  const [pool] = pools;
  const rows = await pool?.unsafe("select version from schema_version where version > 0");
  expect(rows?.length).toBe(versions[0]);
  await Promise.all(pools.map((each) => each.end()));
});

test("refuses a database that a newer Shoal has migrated, and leaves it as it is", async () => {
  const database = openDatabase(await server.database(), 2);
  await database`insert into schema_version (version, name) values (999, 'future')`;
  await expect(migrate(database)).rejects.toMatchObject({ code: "database_newer" });
  const [row] = await database`select max(version) as version from schema_version`;
  expect(row?.["version"]).toBe(999);
  await database.end();
});
