import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { writeFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { mebibyte } from "@shoal/core/units";
import { cloneFile } from "./clone-file.ts";
import { openReleaseFiles, removeReleaseFiles } from "./release-files.ts";
import { planReuse } from "./release-reuse.ts";
import { artifactOf } from "./sample-artifact.ts";

const base = mkdtempSync(join(tmpdir(), "shoal-clone-"));
const mounted = mountBtrfs();
if (mounted === undefined) {
  process.stderr.write("tests of shared blocks are skipped: they need root and mkfs.btrfs\n");
}
afterAll(() => {
  if (mounted !== undefined) execFileSync("umount", [mounted]);
  rmSync(base, { recursive: true, force: true });
});

/** A small file system that can share blocks, in a file. */
function mountBtrfs(): string | undefined {
  const image = join(base, "image");
  const at = join(base, "mounted");
  try {
    writeFileSync(image, "");
    truncateSync(image, 256 * mebibyte);
    mkdirSync(at);
    execFileSync("mkfs.btrfs", ["-q", image], { stdio: "ignore" });
    execFileSync("mount", ["-o", "loop", image, at], { stdio: "ignore" });
    return at;
  } catch {
    return undefined;
  }
}

test("says that blocks can't be shared, and leaves the file as it was", async () => {
  const from = join(base, "from");
  const to = join(base, "to");
  writeFileSync(from, "new");
  writeFileSync(to, "old");
  const answer = await cloneFile("/proc/self/status", to, join(base, "aside"));
  expect(answer).toBe("unable");
  expect(readFileSync(to, "utf8")).toBe("old");
  expect(await cloneFile(join(base, "nothing"), to, join(base, "aside"))).toBe("gone");
});

describe.skipIf(mounted === undefined)("on a file system that shares blocks", () => {
  const sizes = [300_000, 300_000, 300_000, 300_000, 50_000];
  const manifestOf = (first: string): ReturnType<typeof artifactOf> =>
    artifactOf(
      [
        { type: "file", path: first, mode: 0o755, bytes: 700_000 },
        { type: "file", path: "z", mode: 0o644, bytes: 550_000 },
      ],
      sizes,
    );

  test("files that didn't change are cloned, under other names too, and then run and served", async () => {
    const dir = join(mounted ?? "", "a");
    const old = manifestOf("app");
    const older = await openReleaseFiles(join(dir, "old"), old.manifest);
    for (const [index, chunk] of old.chunks.entries()) await older.write(index, chunk);
    await older.seal();
    await older.close();
    const files = await openReleaseFiles(join(dir, "new"), manifestOf("program").manifest);
    const calls: unknown[] = [];
    const watched = {
      manifest: files.manifest,
      missingChunks: () => files.missingChunks(),
      hashOf: (chunk: number) => files.hashOf(chunk),
      phaseOf: (chunk: number, count: number) => files.phaseOf(chunk, count),
      writeRun: (chunk: number, count: number, bytes: Uint8Array) =>
        files.writeRun(chunk, count, bytes),
      holds: (chunk: number) => files.holds(chunk),
      cloneFile: async (file: number, from: string) => {
        const answer = await files.cloneFile(file, from);
        calls.push(answer);
        return answer;
      },
    };
    const reuse = await planReuse(watched, [join(dir, "old")]);
    await reuse.copy();
    expect(calls).toEqual([600_000, 350_000]);
    // The chunk that lies in both files was copied.
    expect([reuse.chunksCount, reuse.bytes]).toEqual([5, 1_250_000]);
    await files.seal();
    expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
    expect(statSync(join(files.treePath, "program")).mode & 0o777).toBe(0o555);
    await files.close();
    await removeReleaseFiles(dir);
  });

  test("what was changed in the old file isn't taken", async () => {
    const dir = join(mounted ?? "", "b");
    const old = manifestOf("app");
    const older = await openReleaseFiles(join(dir, "old"), old.manifest);
    for (const [index, chunk] of old.chunks.entries()) await older.write(index, chunk);
    await older.seal();
    await older.close();
    const changed = join(older.treePath, "app");
    chmodSync(changed, 0o644);
    const bytes = readFileSync(changed);
    bytes[350_000] = 1 ^ (bytes[350_000] ?? 0);
    writeFileSync(changed, bytes);
    const files = await openReleaseFiles(join(dir, "new"), old.manifest);
    const reuse = await planReuse(files, [join(dir, "old")]);
    await reuse.copy();
    expect(reuse.chunksCount).toBe(4);
    expect([...files.missingChunks()]).toEqual([1]);
    await files.write(1, old.chunks[1] ?? new Uint8Array(0));
    await files.seal();
    expect(await files.verify()).toEqual({ problems: [], wrongChunks: [] });
    await files.close();
    await removeReleaseFiles(dir);
  });
});
