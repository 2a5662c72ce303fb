import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { checkRoom, readBootId } from "./machine-facts.ts";

test("tells a disk that is too small from one that isn't", async () => {
  await checkRoom(tmpdir(), 1);
  await expect(checkRoom(tmpdir(), 2 ** 60)).rejects.toMatchObject({
    code: "disk_too_small",
    retryable: true,
    details: { neededBytes: 2 ** 60 },
  });
});

test("names the boot the same each time it is asked", async () => {
  expect(await readBootId()).toBe(await readBootId());
});
