import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { lockFolder } from "./folder-lock.ts";

test("one process has a folder, whatever it is called, until it lets go", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-lock-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  await symlink(folder, join(folder, "alias"));
  const lock = await lockFolder("agent", folder);
  await expect(lockFolder("agent", join(folder, "alias"))).rejects.toMatchObject({
    code: "folder_in_use",
  });
  const other = await lockFolder("builder", folder);
  await other.release();
  await lock.release();
  await (await lockFolder("agent", folder)).release();
});
