import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ChildDaemon } from "./child-daemon.ts";

test("a process that doesn't start is gone, and the error has the end of its log", async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), "shoal-child-"));
  const child = new ChildDaemon({
    name: "seeder-1",
    room: "seeder",
    dir: dir.path,
    config: { port: "no number" },
    searchPath: process.env["PATH"] ?? "",
    readyMsMax: 60_000,
  });
  await expect(child.start()).rejects.toMatchObject({
    code: "process_not_ready",
    message: expect.stringContaining("config_invalid") as string,
  });
  expect(child.pid).toBeUndefined();
  expect(await child.stop()).toBeNull();
});
