import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { verifySignature } from "@shoal/core/trust/keys";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKey, loadOrCreateKey, readKey, writeKey } from "./key-file.ts";
import { codeOf } from "./signers.test-kit.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-key-"));
});
afterAll(() => rm(dir, { recursive: true }));

describe("key file", () => {
  test("is made once, readable by its owner only, and read back as the same key", async () => {
    const path = join(dir, "made.json");
    const made = await loadOrCreateKey(path);
    const again = await loadOrCreateKey(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(again.peerId).toBe(made.peerId);
    const message = Uint8Array.of(1);
    expect(verifySignature(made.publicKey, message, again.sign(message))).toBe(true);
  });

  test("is the same for processes that race to make it, and leaves nothing else behind", async () => {
    const folder = await mkdtemp(join(dir, "race-"));
    const path = join(folder, "key.json");
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKey(path)));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
    expect(await readdir(folder)).toEqual(["key.json"]);
  });

  test("is never replaced", async () => {
    const path = join(dir, "kept.json");
    await writeKey(path, createKey());
    const before = await readFile(path, "utf8");
    expect(await codeOf(() => writeKey(path, createKey()))).toBe("key_file_exists");
    expect(await readFile(path, "utf8")).toBe(before);
  });

  test("that isn't there is named in the error", async () => {
    expect(await codeOf(() => readKey(join(dir, "nowhere.json")))).toBe("key_file_missing");
  });

  test("that others may read is refused", async () => {
    const path = join(dir, "open.json");
    await writeKey(path, createKey());
    await chmod(path, 0o644);
    expect(await codeOf(() => readKey(path))).toBe("key_file_exposed");
  });

  const jwk = createKey().exportSecretJwk();
  test.for([
    ["empty", ""],
    ["cut off", JSON.stringify(jwk).slice(0, 40)],
    ["with an unknown field", JSON.stringify({ ...jwk, use: "sig" })],
    ["without its secret half", JSON.stringify({ ...jwk, d: undefined })],
    [
      "with another key's public half",
      JSON.stringify({ ...jwk, x: createKey().exportSecretJwk().x }),
    ],
    ["of another curve", JSON.stringify({ ...jwk, crv: "X25519" })],
    ["too large", JSON.stringify(jwk) + " ".repeat(5000)],
  ] as const)("that is %s is refused, and the error doesn't quote it", async ([name, text]) => {
    const path = join(dir, `${name.replaceAll(/\W/g, "-")}.json`);
    await writeFile(path, text, { mode: 0o600 });
    const error: unknown = await readKey(path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "key_file_invalid" });
    expect(inspect(error, { depth: 9 })).not.toContain(jwk.d);
  });

  test("keeps its secret half out of logs and JSON", () => {
    const key = createKey();
    const { d } = key.exportSecretJwk();
    expect(inspect(key, { depth: 9, showHidden: true })).not.toContain(d);
    expect(JSON.stringify(key)).not.toContain(d);
  });

  test("gives libp2p the seed and the public key in one", () => {
    const key = createKey();
    const raw = key.exportSecretRaw();
    expect(raw.subarray(0, 32).toBase64({ alphabet: "base64url", omitPadding: true })).toBe(
      key.exportSecretJwk().d,
    );
    expect([...raw.subarray(32)]).toEqual([...key.publicKey]);
  });
});
