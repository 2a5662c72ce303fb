import { decodeBase64Url } from "@shoal/core/trust/base64";
import { codeOf } from "@shoal/trust/signers.test-kit";
import { followChain } from "@shoal/trust/trust-chain";
import { readTrustChain } from "@shoal/trust/trust-file";
import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeFleetKeys } from "./fleet-keys.ts";
import { initTrust, rotateKey, rotateRoot, showTrust, signTrust } from "./trust-folder.ts";

let dir: string;
const nowMs = Date.now();
const hourMs = 3_600_000;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-trust-folder-"));
});
afterEach(() => rm(dir, { recursive: true }));

const rulesOf = async (keyId: string) => {
  const { document } = await showTrust(dir);
  const has = (rules: readonly { readonly key: string }[]) =>
    rules.some(({ key }) => key === keyId);
  const { statements, goals, passports, grants } = document;
  return [statements, goals, passports, grants].map(has);
};

test("a new folder trusts nobody, and is never made twice", async () => {
  expect(await initTrust(dir, nowMs)).toMatchObject({ version: 1, keys: [] });
  expect(await codeOf(() => initTrust(dir, nowMs))).toBe("already_exists");
});

test("a new key may sign what the old one may, and the old one goes on for the overlap", async () => {
  await makeFleetKeys(dir);
  const how = { use: undefined, overlapMs: hourMs };
  const rotated = await rotateKey(dir, "control-plane", how, nowMs);
  expect(rotated.document.version).toBe(2);
  expect(await rulesOf(rotated.keyId)).toEqual([false, true, true, true]);
  const ends = rotated.document.keys.map(({ notAfter }) => Date.parse(notAfter) - nowMs);
  expect(ends.filter((endMs) => endMs <= hourMs)).toHaveLength(1);
  // The same again, as after a crash, makes no third key.
  const again = await rotateKey(dir, "control-plane", how, nowMs);
  expect(again.keyId).toBe(rotated.keyId);
  expect(again.document.keys).toHaveLength(3);
});

test("a key can be replaced for one use alone", async () => {
  await makeFleetKeys(dir);
  const how = { use: "goals", overlapMs: undefined } as const;
  const { keyId } = await rotateKey(dir, "control-plane", how, nowMs);
  expect(await rulesOf(keyId)).toEqual([false, true, false, false]);
});

test("who pins the first root comes over two new ones to the newest document", async () => {
  const { rootPublicKey } = await makeFleetKeys(dir);
  await rotateRoot(dir, nowMs);
  await rename(join(dir, "root.old.jwk"), join(dir, "root.first.jwk"));
  await rotateRoot(dir, nowMs);
  await rotateKey(dir, "builder", { use: undefined, overlapMs: undefined }, nowMs);
  const chain = await readTrustChain(join(dir, "trust.json"));
  const known = followChain({ pinned: decodeBase64Url(rootPublicKey) }, chain);
  expect(known.document.version).toBe(4);
  const newest = (await readFile(join(dir, "root-public-key"), "utf8")).trim();
  expect(newest).not.toBe(rootPublicKey);
  expect((await showTrust(dir, newest)).document).toEqual(known.document);
});

test("a changed document is signed as the next version, and nonsense isn't", async () => {
  await makeFleetKeys(dir);
  const { document } = await showTrust(dir);
  const changed = JSON.stringify({ ...document, grants: [], version: 99 });
  expect(await signTrust(dir, changed, nowMs)).toMatchObject({ version: 2, grants: [] });
  expect(await codeOf(() => signTrust(dir, '{"version":3}', nowMs))).toBe("trust_document_invalid");
});
