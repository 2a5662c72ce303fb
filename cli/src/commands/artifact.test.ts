import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "@shoal/core/prng";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = join(import.meta.dirname, "../main.ts");
let dir: string;

interface End {
  readonly status: number;
  readonly stdout: string;
}

async function shoal(...args: readonly string[]): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const child = execFile(process.execPath, [main, "artifact", ...args], (error, stdout) => {
    resolve({ status: error === null ? 0 : (child.exitCode ?? -1), stdout });
  });
  return promise;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-artifact-"));
  const prng = new Prng(1);
  const bytes = Uint8Array.from({ length: 900_000 }, () => prng.nextUint32());
  for (const name of ["old", "new"]) {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, "program"), bytes);
    // The last byte: earlier chunks stay as they are.
    bytes[899_999] = 7 ^ (bytes[899_999] ?? 0);
  }
});
afterAll(() => rm(dir, { recursive: true }));

test("inspect counts what is in a folder that a build left", async () => {
  const { status, stdout } = await shoal("inspect", join(dir, "old"), "--json");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ kind: "tree", bytes: 900_000, files: 1, links: 0 });
});

test("diff says what would move, for people too", async () => {
  const both = [join(dir, "old"), join(dir, "new")];
  const { stdout } = await shoal("diff", ...both, "--json");
  const diff = JSON.parse(stdout);
  expect(diff).toMatchObject({ bytes: 900_000, movedChunks: 1, added: [], removed: [] });
  expect(diff.movedBytes).toBeLessThan(900_000);
  expect((await shoal("diff", ...both)).stdout).toMatch(/^878\.9 KiB, .* changed \(1 chunks\)/);
});

test("verify needs a manifest to hold a folder to", async () => {
  const { status } = await shoal("verify", join(dir, "old"));
  expect(status).toBe(2);
});
