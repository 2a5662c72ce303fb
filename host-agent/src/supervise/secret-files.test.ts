import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Release } from "@shoal/core/rollout/release";
import { SecretsKey, sealSecret } from "@shoal/trust/sealed-secret";
import { expect, test } from "vitest";
import { testFolder } from "../test-folder.test-kit.ts";
import { writeSecretFiles } from "./secret-files.ts";

const key = SecretsKey.create();
const place = { environment: "production", service: "web" };

function releaseWith(...names: readonly string[]): Release {
  const secrets = Object.fromEntries(
    names.map((name) => [
      name,
      sealSecret(key.publicKey, { ...place, name }, new TextEncoder().encode(`value of ${name}`)),
    ]),
  );
  return { run: { secrets } } as unknown as Release;
}

test("secrets are files that their user alone can read, and go with the next release", async () => {
  const folder = join(await testFolder(), "secrets");
  const config = { ...place, keys: [key], user: null };
  expect(await writeSecretFiles(folder, releaseWith("A", "B"), config)).toBe(true);
  expect((await readdir(folder)).toSorted()).toEqual(["A", "B"]);
  expect(await readFile(join(folder, "A"), "utf8")).toBe("value of A");
  expect((await stat(join(folder, "A"))).mode & 0o777).toBe(0o400);
  expect((await stat(folder)).mode & 0o777).toBe(0o500);
  expect(await writeSecretFiles(folder, releaseWith("B"), config)).toBe(true);
  expect(await readdir(folder)).toEqual(["B"]);
  expect(await writeSecretFiles(folder, releaseWith(), config)).toBe(false);
  await expect(stat(folder)).rejects.toThrow("ENOENT");
});

test("without the key that they were sealed for nothing is written", async () => {
  const folder = join(await testFolder(), "secrets");
  const config = { ...place, keys: [SecretsKey.create()], user: null };
  await expect(writeSecretFiles(folder, releaseWith("A"), config)).rejects.toMatchObject({
    code: "secret_unreadable",
  });
  await expect(stat(folder)).rejects.toThrow("ENOENT");
});
