import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { thisMachine } from "./machine.ts";

const machine = thisMachine("/usr/local/bin:/usr/bin:/bin");

describe("this machine", () => {
  const server = createServer((socket) => socket.once("data", () => socket.end("N")));
  let port = 0;
  beforeEach(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(() => server.close());

  test("tells a program that ends, one that fails, and one that isn't there apart", async () => {
    expect(await machine.run("echo", ["hello"])).toEqual({ ok: true, text: "hello" });
    const failed = await machine.run("sh", ["-c", "echo why >&2; exit 3"]);
    expect(failed).toEqual({ ok: false, text: "why" });
    expect(await machine.run("shoal-no-such-program", [])).toBeNull();
  });

  test("tells a port in use from a free one, and leaves none taken", async () => {
    expect(await machine.tryPort("127.0.0.1", port)).toBe("EADDRINUSE");
    server.close();
    await once(server, "close");
    expect(await machine.tryPort("127.0.0.1", port)).toBe("");
    expect(await machine.tryPort("127.0.0.1", port)).toBe("");
  });

  test("hears the first byte of an answer, and an error where nobody listens", async () => {
    expect(await machine.greet("127.0.0.1", port, Uint8Array.of(1))).toBe(78);
    server.close();
    await once(server, "close");
    await expect(machine.greet("127.0.0.1", port, Uint8Array.of(1))).rejects.toThrow(
      /ECONNREFUSED/,
    );
  });

  test("measures the disk also of a folder that isn't there yet", async () => {
    const bytes = await machine.freeBytes(join(tmpdir(), "shoal-not-yet", "deeper"));
    expect(bytes).toBeGreaterThan(0);
  });

  test("reads files of /proc, which tell no size, and answers null for what isn't there", async () => {
    expect(await machine.readText("/proc/self/cgroup")).toMatch(/:/);
    expect(await machine.readText("/proc/self/nothing")).toBeNull();
    expect(await machine.look("/proc/self/nothing")).toBeNull();
  });

  test("finds the Postgres that npm brought", async () => {
    expect(await machine.embeddedPostgres()).toMatch(/bin\/postgres$/);
  });
});
