import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { SecretsKey, openSecret, readSecretsKey, sealSecret } from "./sealed-secret.ts";

const place = { environment: "production", service: "web", name: "DB_PASSWORD" };
const value = new TextEncoder().encode("correct horse\n");

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "nothing thrown";
}

test("a secret opens with its key in its place, and says nothing on the way", () => {
  const key = SecretsKey.create();
  const sealed = sealSecret(key.publicKey, place, value);
  expect(JSON.stringify(sealed)).not.toContain(Buffer.from(value).toString("base64url"));
  expect(Buffer.from(openSecret([SecretsKey.create(), key], place, sealed))).toEqual(
    Buffer.from(value),
  );
  expect(sealSecret(key.publicKey, place, value).sealed).not.toBe(sealed.sealed);
});

test.for([
  ["in another service", { ...place, service: "other" }],
  ["in another environment", { ...place, environment: "staging" }],
  ["under another name", { ...place, name: "OTHER" }],
] as const)("a secret doesn't open %s", ([, elsewhere]) => {
  const key = SecretsKey.create();
  const sealed = sealSecret(key.publicKey, place, value);
  expect(codeOf(() => openSecret([key], elsewhere, sealed))).toBe("secret_unreadable");
});

test("a secret that was changed, cut short or sealed for another key doesn't open", () => {
  const key = SecretsKey.create();
  const { sealed } = sealSecret(key.publicKey, place, value);
  const bytes = Buffer.from(sealed, "base64url");
  bytes[50] = (bytes[50] ?? 0) ^ 1;
  const broken = ["", "AAAA", sealed.slice(0, 40), bytes.toString("base64url")];
  for (const text of broken) {
    const given = { key: key.publicKey, sealed: text };
    expect(codeOf(() => openSecret([key], place, given))).toBe("secret_unreadable");
  }
  expect(codeOf(() => openSecret([], place, { key: key.publicKey, sealed }))).toBe(
    "secret_unreadable",
  );
});

test("a key is read from a file that only its owner can read", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shoal-secrets-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const key = SecretsKey.create();
  const path = join(dir, "production.key");
  await key.write(path);
  expect((await readSecretsKey(path)).publicKey).toBe(key.publicKey);
  await expect(key.write(path)).rejects.toThrow("EEXIST");
  await chmod(path, 0o644);
  await expect(readSecretsKey(path)).rejects.toMatchObject({ code: "secrets_key_invalid" });
  await writeFile(join(dir, "other"), "{}", { mode: 0o600 });
  await expect(readSecretsKey(join(dir, "other"))).rejects.toThrow("isn't an X25519 key");
  await expect(readSecretsKey(join(dir, "none"))).rejects.toThrow("can't be opened");
});
