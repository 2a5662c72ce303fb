// The beginning of most test files of this room: one Postgres for the file, a fleet for each test.
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type TestFleet, TestServer, startFleet } from "./test-fleet.ts";

/**
 * For every test of a file a fleet of its own, on one server: `prepare` is called before each test, and
 * the fleet ends after it.
 */
export function eachWithFleet(prepare: (fleet: TestFleet) => Promise<void>): void {
  let server: TestServer;
  let fleet: TestFleet;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    fleet = await startFleet(server);
    await prepare(fleet);
  });
  afterEach(() => fleet[Symbol.asyncDispose]());
}
