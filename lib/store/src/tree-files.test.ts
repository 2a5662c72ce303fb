import { mkdtemp, rm, writeFile, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FileRanges } from "./file-ranges.ts";
import { TreeFiles } from "./tree-files.ts";

test("closes a file that was in use during the close as soon as it isn't", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shoal-tree-files-"));
  try {
    await writeFile(join(dir, "a"), "x");
    const entry = { type: "file" as const, path: "a", mode: 0o644, bytes: 1 };
    const manifest = {
      kind: "tree" as const,
      entries: [entry],
      bytes: 1,
      chunkHashes: new Uint8Array(32),
      chunkBytes: Uint32Array.of(1),
    };
    const files = new TreeFiles(dir, new FileRanges(manifest), "read");
    const inUse = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    let used: FileHandle | undefined;
    const using = files.use(0, async (handle) => {
      used = handle;
      inUse.resolve();
      await release.promise;
    });
    await inUse.promise;
    await files.close();
    expect(used?.fd).toBeGreaterThan(0);
    release.resolve();
    await using;
    // What a closed handle says.
    expect(used?.fd).toBe(-1);
  } finally {
    await rm(dir, { recursive: true });
  }
});
