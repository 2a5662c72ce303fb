import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { HealthCheck } from "@shoal/core/rollout/release";
import { describe, expect, onTestFinished, test } from "vitest";
import { checkHealth, type HealthResult, type HealthTarget } from "./health.ts";
import { watchHealth } from "./health-watch.ts";
import { eventually, testFolder } from "./test-folder.test-kit.ts";

const timing = {
  intervalMs: 20,
  timeoutMs: 300,
  startupMs: 1000,
  healthyAfterCount: 1,
  unhealthyAfterCount: 1,
};

async function target(parts: Partial<HealthTarget> = {}): Promise<HealthTarget> {
  const directory = await testFolder();
  return { port: null, directory, environment: { PATH: "/usr/bin:/bin" }, user: null, ...parts };
}

function check(health: HealthCheck, on: HealthTarget): Promise<HealthResult> {
  return checkHealth({ health }, on, new AbortController().signal);
}

const http: HealthCheck = { type: "http", path: "/health", ...timing };
const command = (script: string): HealthCheck => ({
  type: "command",
  command: ["/bin/sh", "-c", script],
  ...timing,
});

/** A server that answers each path in its own way; its port. */
async function listen(): Promise<number> {
  const server = createServer((request, response) => {
    switch (request.url) {
      case "/health":
        response.end("fine");
        return;
      case "/endless":
        response.writeHead(200);
        response.write("x".repeat(100_000));
        return;
      case "/hangs":
        return;
      default:
        response.writeHead(request.url === "/moved" ? 302 : 503, { location: "/health" }).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe("by HTTP", () => {
  test.for([
    ["/health", ""],
    ["/endless", ""],
    ["/broken", "/broken answered 503"],
    ["/moved", "/moved answered 302"],
    ["/hangs", "no answer within 300 ms"],
  ] as const)("asks the program's port: %s", async ([path, message]) => {
    const result = await check({ ...http, path }, await target({ port: await listen() }));
    expect(result).toEqual({ healthy: message === "", message });
  });

  test("a port where nothing listens isn't healthy, nor is having none", async () => {
    expect(await check(http, await target({ port: 1 }))).toEqual({
      healthy: false,
      message: "nothing listens on its port",
    });
    expect((await check(http, await target())).message).toBe("the release has no port to ask");
  });
});

describe("by command", () => {
  test("is healthy when it ends with 0", async () => {
    expect(await check(command("echo fine"), await target())).toEqual({
      healthy: true,
      message: "",
    });
  });

  test("says how it ended and what it printed last", async () => {
    const result = await check(command("echo one; echo two >&2; exit 3"), await target());
    expect(result).toEqual({ healthy: false, message: "/bin/sh ended with code 3: two" });
  });

  test("runs in the release's folder with the program's environment", async () => {
    const on = await target({ environment: { PATH: "/usr/bin:/bin", PORT: "99" } });
    const script = `test "$PORT" = 99 && test "$(pwd)" = ${on.directory}`;
    expect((await check(command(script), on)).healthy).toBe(true);
  });

  test("that takes too long is killed, with what it started", async () => {
    const on = await target();
    const script = "(sleep 0.6; touch survived) & sleep 60";
    expect(await check(command(script), on)).toEqual({
      healthy: false,
      message: "no answer within 300 ms",
    });
    await sleep(600);
    await expect(access(join(on.directory, "survived"))).rejects.toThrow("ENOENT");
  });

  test("that prints without end is read and bounded", async () => {
    const result = await check(command("yes | head -c 5000000; exit 1"), await target());
    expect(result.healthy).toBe(false);
    expect(result.message.length).toBeLessThanOrEqual(512);
  });

  test("that isn't there fails the check", async () => {
    const health: HealthCheck = { type: "command", command: ["./nowhere"], ...timing };
    expect(await check(health, await target())).toMatchObject({
      healthy: false,
      message: expect.stringContaining("ENOENT"),
    });
  });
});

test("a watch checks again and again until it is stopped", async () => {
  const results: HealthResult[] = [];
  const run = {
    command: ["./serve"],
    environment: {},
    port: null,
    health: command("exit 0"),
    stopTimeoutMs: 0,
    memoryBytesMax: null,
  };
  const watch = watchHealth(run, await target(), (result) => results.push(result));
  await eventually(() => results.length >= 3);
  watch.stop();
  const { length } = results;
  await sleep(100);
  expect(results.length).toBe(length);
});
