import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StateFile, readFileBounded, writeFileAtomic } from "./atomic-file.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shoal-atomic-"));
});
afterAll(() => rm(dir, { recursive: true }));

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe("atomic file", () => {
  test("is replaced whole, for its owner only, and leaves nothing beside it", async () => {
    const folder = await mkdtemp(join(dir, "write-"));
    const path = join(folder, "state.json");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, new TextEncoder().encode("two"));
    expect(await readFile(path, "utf8")).toBe("two");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await writeFileAtomic(path, "three", { mode: 0o644 });
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(folder)).toEqual(["state.json"]);
  });

  test("keeps its old content and leaves nothing when the write fails", async () => {
    const folder = await mkdtemp(join(dir, "fail-"));
    const path = join(folder, "taken");
    await mkdir(join(path, "inside"), { recursive: true });
    await expect(writeFileAtomic(path, "x")).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(await readdir(folder)).toEqual(["taken"]);
  });

  test("is read up to its bound and not a byte beyond", async () => {
    const path = join(dir, "bounded");
    await writeFile(path, "12345");
    expect(text(await readFileBounded(path, 5))).toBe("12345");
    await expect(readFileBounded(path, 4)).rejects.toMatchObject({ code: "file_too_large" });
    expect(await readFileBounded(join(dir, "nowhere"), 4)).toBeUndefined();
    await writeFile(path, "");
    expect(await readFileBounded(path, 0)).toEqual(new Uint8Array());
  });

  test("never shows a reader anything but one whole write", async () => {
    const path = join(dir, "mixed");
    const contents = ["a".repeat(100_000), "b".repeat(100_000)];
    await writeFileAtomic(path, contents[0] ?? "");
    const written = new AbortController();
    const writer = (async () => {
      for (let turn = 0; turn < 20; turn += 1)
        await writeFileAtomic(path, contents[turn % 2] ?? "");
      written.abort();
    })();
    let reads = 0;
    while (!written.signal.aborted) {
      expect(contents).toContain(text(await readFileBounded(path, 100_000)));
      reads += 1;
    }
    await writer;
    expect(reads).toBeGreaterThan(5);
  });

  test("as a state file ends with the last of many writes at once, over a killed writer's leftover", async () => {
    const folder = await mkdtemp(join(dir, "state-"));
    const path = join(folder, "goals");
    await writeFile(`${path}.tmp`, "half a wri");
    await chmod(`${path}.tmp`, 0o400);
    const file = new StateFile(path, 10);
    expect(await file.read()).toBeUndefined();
    await Promise.all(Array.from({ length: 10 }, (_, index) => file.write(`state ${index}`)));
    expect(text(await file.read())).toBe("state 9");
    expect(await readdir(folder)).toEqual(["goals"]);
  });
});
