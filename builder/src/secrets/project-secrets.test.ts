import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectSecretsMax, secretBytesMax } from "@shoal/core/limits";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placeSecrets, readProjectSecrets } from "./project-secrets.ts";

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "shoal-secrets-"));
  mkdirSync(join(root, "thing"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, text: string, mode = 0o600): void {
  const path = join(root, "thing", name);
  writeFileSync(path, text);
  chmodSync(path, mode);
}

test("reads the files of a project, also through links, and no others", async () => {
  write(".hidden", "what a mount keeps");
  write("TOKEN", "hunter2-hunter2\n");
  symlinkSync("TOKEN", join(root, "thing", "LINK"));
  const found = await readProjectSecrets(root, "thing");
  expect(found.map(({ name }) => name)).toEqual(["LINK", "TOKEN"]);
  expect(Buffer.from(found[1]?.bytes ?? []).toString()).toBe("hunter2-hunter2\n");
  expect(await readProjectSecrets(root, "other")).toEqual([]);
  expect(await readProjectSecrets(null, "thing")).toEqual([]);
});

test.for<readonly [string, () => void, RegExp]>([
  ["others can read", () => write("T", "hunter2-hunter2", 0o644), /T can be read by others/],
  ["is too short to be masked", () => write("T", "  hunter\n"), /T is shorter than 8 bytes/],
  ["is too long", () => write("T", "x".repeat(secretBytesMax + 1)), /T .* is over 16384 bytes/],
  ["is a folder", () => mkdirSync(join(root, "thing", "T")), /T isn't a file/],
  ["leads nowhere", () => symlinkSync("none", join(root, "thing", "T")), /T isn't a file/],
  ["has an odd name", () => write("-T", "hunter2-hunter2"), /-T has a name/],
])("refuses a secret that %s, and doesn't say what it is", async ([, make, message]) => {
  make();
  const error: unknown = await readProjectSecrets(root, "thing").catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "secret_unusable" });
  expect(String(error)).toMatch(message);
  expect(String(error)).not.toContain("hunter");
});

test("refuses more secrets than there may be", async () => {
  for (let n = 0; n <= projectSecretsMax; n += 1) write(`T${n}`, "hunter2-hunter2");
  await expect(readProjectSecrets(root, "thing")).rejects.toMatchObject({
    code: "secret_unusable",
  });
});

test("places copies that only their owner can read", async () => {
  write("TOKEN", "hunter2-hunter2");
  const folder = join(root, "placed");
  mkdirSync(folder);
  await placeSecrets(await readProjectSecrets(root, "thing"), folder, null);
  expect(readFileSync(join(folder, "TOKEN"), "utf8")).toBe("hunter2-hunter2");
  expect(statSync(join(folder, "TOKEN")).mode & 0o777).toBe(0o400);
});
