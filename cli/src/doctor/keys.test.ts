import { chmod, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeFleetKeys, type FleetKeys } from "../fleet-keys.ts";
import type { Finding } from "./finding.ts";
import { checkKeys } from "./keys.ts";
import { healthyMachine } from "./machine.test-kit.ts";

let dir: string;
let keys: FleetKeys;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-keys-"));
  keys = await makeFleetKeys(dir);
});
afterEach(() => rm(dir, { recursive: true }));

const halfYearMs = 183 * 24 * 3_600_000;

function check(nowMs: number, rootPublicKey?: string): Promise<readonly Finding[]> {
  const machine = healthyMachine({
    now: () => nowMs,
    list: (path) => readdir(path).catch(() => null),
    look: async (path) => ({ mode: (await stat(path)).mode & 0o777, isDirectory: true }),
  });
  return checkKeys(machine, dir, rootPublicKey);
}

function levels(findings: readonly Finding[]): readonly string[] {
  return findings
    .filter(({ level }) => level !== "ok")
    .map(({ level, says }) => `${level}: ${says}`);
}

describe("keys and trust document", () => {
  test("finds only that the root key shouldn't be here, in a folder just made", async () => {
    const findings = await check(Date.now());
    expect(levels(findings)).toEqual([expect.stringMatching(/^warning: the root key lies/)]);
    expect(findings.at(-1)?.says).toMatch(/^version 1, good until /);
  });

  test("is content when the root key is elsewhere and its public half is given", async () => {
    await rm(keys.rootKeyFile);
    expect(levels(await check(Date.now(), keys.rootPublicKey))).toEqual([]);
    expect(levels(await check(Date.now()))).toEqual([
      "warning: not verified: no root key is known",
    ]);
  });

  test("tells of a document that ends soon, has ended, or is signed by another root", async () => {
    const last = async (nowMs: number, root: string): Promise<Finding | undefined> =>
      (await check(nowMs, root)).at(-1);
    const soon = await last(Date.now() + 2 * halfYearMs - 24 * 3_600_000 * 10, keys.rootPublicKey);
    expect(soon).toMatchObject({ level: "warning", check: "trust document" });
    const ended = await last(Date.now() + 3 * halfYearMs, keys.rootPublicKey);
    expect(ended?.says).toContain("(trust_document_expired)");
    const foreign = await last(Date.now(), Buffer.alloc(32, 7).toString("base64url"));
    expect(foreign).toMatchObject({ level: "wrong" });
  });

  test("tells of a key that others may read, and what to type", async () => {
    await chmod(keys.builderKeyFile, 0o640);
    const finding = (await check(Date.now())).find(({ level }) => level === "wrong");
    expect(finding?.says).toContain("key_file_exposed");
    expect(finding?.fix).toContain(`chmod 600 ${keys.builderKeyFile}`);
  });

  test("tells of a folder that others may change, and of one that isn't there", async () => {
    await chmod(dir, 0o777);
    expect(levels(await check(Date.now()))[0]).toContain("others may change");
    await rm(dir, { recursive: true });
    expect(levels(await check(Date.now()))).toEqual([`wrong: ${dir} can't be listed`]);
    await makeFleetKeys(dir);
  });
});
