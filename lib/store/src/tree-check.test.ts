import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@shoal/core/content/manifest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { diffManifests } from "./manifest-diff.ts";
import { checkAgainst } from "./tree-check.ts";
import { readTree } from "./tree-reader.ts";
import { scanTree } from "./tree-scan.ts";

let tree: string;
let manifest: Manifest;

const read = async (): Promise<Manifest> => readTree(tree, await scanTree(tree), () => {});

beforeEach(async () => {
  tree = await mkdtemp(join(tmpdir(), "shoal-check-"));
  await mkdir(join(tree, "lib"));
  await writeFile(
    join(tree, "lib", "a"),
    new Uint8Array(400_000).map((_, at) => (at * at) >> 5),
  );
  await writeFile(
    join(tree, "lib", "b"),
    new Uint8Array(90_000).map((_, at) => (at * 7) >> 3),
  );
  await symlink("lib/a", join(tree, "link"));
  manifest = await read();
});
afterEach(() => rm(tree, { recursive: true, force: true }));

describe("checking a tree against a manifest", () => {
  test("finds nothing wrong with what it was made from", async () => {
    expect(await checkAgainst(tree, manifest)).toEqual({
      problems: [],
      wrongChunks: [],
      wrongBytes: 0,
    });
  });

  test.for<[string, () => Promise<void>, string]>([
    ["a byte", async () => overwrite("lib/b", 50_000), "lib/b has other bytes"],
    ["a mode", async () => chmod(join(tree, "lib/a"), 0o600), "lib/a has mode 600 instead of 644"],
    ["a name", async () => rename(join(tree, "lib/b"), join(tree, "lib/c")), "lib/b is missing"],
    ["a stranger", async () => writeFile(join(tree, "x"), ""), "x isn't in the manifest"],
    ["a size", async () => appendFile(join(tree, "lib/a"), "!"), "lib/a has 400001 bytes"],
    ["a link", async () => relink("lib/b"), "link links elsewhere"],
  ])("names %s that was changed", async ([, change, expected]) => {
    await change();
    const { problems } = await checkAgainst(tree, manifest);
    const texts = problems.map(({ path, problem }) => `${path} ${problem}`).join("\n");
    expect(texts).toContain(expected);
  });

  test("says how much is wrong, not more than the chunks around it", async () => {
    await overwrite("lib/a", 10);
    const { wrongChunks, wrongBytes } = await checkAgainst(tree, manifest);
    expect(wrongChunks).toEqual([0]);
    expect(wrongBytes).toBe(manifest.chunkBytes[0]);
  });
});

test("a diff counts what moves once, and names the files that it moves for", async () => {
  await overwrite("lib/a", 10);
  await rename(join(tree, "lib/b"), join(tree, "lib/c"));
  const newer = await read();
  const diff = diffManifests(manifest, newer);
  expect(diff).toMatchObject({ bytes: 490_000, added: ["lib/c"], removed: ["lib/b"] });
  expect(diff.changed.map(({ path }) => path)).toEqual(["lib/a"]);
  expect(diff.movedBytes).toBe(newer.chunkBytes[0]);
  expect(diffManifests(newer, newer)).toMatchObject({ movedBytes: 0, movedChunks: 0, changed: [] });
});

async function overwrite(path: string, at: number): Promise<void> {
  const { open } = await import("node:fs/promises");
  const handle = await open(join(tree, path), "r+");
  await handle.write(Uint8Array.of(255, 254, 253, 252, 251), 0, 5, at);
  await handle.close();
}

async function relink(target: string): Promise<void> {
  await rm(join(tree, "link"));
  await symlink(target, join(tree, "link"));
}
