import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { blobStoreSuite } from "./blob-store.suite.ts";
import { openDirectoryBlobs } from "./directory-blobs.ts";

const root = mkdtempSync(join(tmpdir(), "shoal-blobs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const freshFolder = (): string => join(root, `deep/${(count += 1)}`);

blobStoreSuite("directory", () => openDirectoryBlobs(freshFolder()));

test("keeps blobs from one opening to the next, and removes what wasn't finished", async () => {
  const folder = freshFolder();
  const first = await openDirectoryBlobs(folder);
  await first.put("p/1", [new Uint8Array(10)]);
  writeFileSync(join(folder, ".aside", ".unfinished-1"), "half");
  const second = await openDirectoryBlobs(folder);
  expect((await second.get("p/1")).length).toBe(10);
  expect(readdirSync(join(folder, ".aside"))).toEqual([]);
});

test("leaves nothing aside after a put that fails", async () => {
  const folder = freshFolder();
  const blobs = await openDirectoryBlobs(folder);
  // A folder stands where the blob should be.
  mkdirSync(join(folder, "p", "1"), { recursive: true });
  await expect(blobs.put("p/1", [new Uint8Array(10)])).rejects.toThrow("EISDIR");
  expect(readdirSync(join(folder, ".aside"))).toEqual([]);
  expect(existsSync(join(folder, "p", "1"))).toBe(true);
});
