import { randomFillSync } from "node:crypto";
import { mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { kibibyte } from "@shoal/core/units";
import { blockBytes, DirectIo, openDirect, wholeBlocks } from "./direct-io.ts";
import { FileRanges } from "./file-ranges.ts";
import { TreeFiles } from "./tree-files.ts";

const dir = await mkdtemp(join(tmpdir(), "shoal-direct-"));
afterAll(() => rm(dir, { recursive: true }));

const long = 256 * kibibyte;

test.for([
  [0, long, { start: 0, end: long }],
  [1, long, { start: blockBytes, end: long }],
  [blockBytes - 1, long + 2, { start: blockBytes, end: blockBytes + long }],
  [7, 100 * kibibyte, undefined],
  [0, 0, undefined],
] as const)("the whole blocks of %d + %d bytes", ([offset, bytes, expected]) => {
  expect(wholeBlocks(offset, bytes)).toEqual(expected);
});

test("what is written past the page cache in runs of any size and order is read as one", async () => {
  const chunkBytes = Uint32Array.from({ length: 24 }, (_, index) => 100_000 + 31_337 * index);
  const bytes = chunkBytes.reduce((sum, each) => sum + each, 0);
  const sizes = [1_500_001, 3, 0, 5_000_000, bytes - 6_500_004];
  const entries = sizes.map((size, index) => {
    return { type: "file" as const, path: `f${index}`, mode: 0o644, bytes: size };
  });
  const manifest = { kind: "tree" as const, entries, bytes, chunkHashes: new Uint8Array(0) };
  const ranges = new FileRanges({ ...manifest, chunkBytes });
  const stream = randomFillSync(new Uint8Array(bytes));
  for (const { path, bytes: size } of entries) {
    await writeFile(join(dir, path), "");
    await truncate(join(dir, path), size);
  }
  const files = new TreeFiles(dir, ranges, "write", { isDirect: true });
  const runs = Array.from({ length: 8 }, (_, index) => (index * 5) % 8);
  await Promise.all(
    runs.map(async (run) => {
      const start = ranges.bytesOf(0, run * 3);
      const bytesOfRun = ranges.bytesOf(run * 3, 3);
      // Half of them lie in memory as in their file, and need no copy.
      const memory = new ArrayBuffer(2 * blockBytes + bytesOfRun, {
        maxByteLength: 2 * blockBytes + bytesOfRun,
      });
      const phase = (run % 2) + ((ranges.rangesOf(run * 3, 3)[0]?.offset ?? 0) % blockBytes);
      const part = new Uint8Array(memory, phase, bytesOfRun);
      part.set(stream.subarray(start, start + bytesOfRun));
      await files.write(ranges.rangesOf(run * 3, 3), part);
      const back = new Uint8Array(part.length);
      await files.read(ranges.rangesOf(run * 3, 3), back);
      expect(Buffer.compare(back, part)).toBe(0);
    }),
  );
  await files.close();
  const whole = Buffer.concat(
    await Promise.all(entries.map(({ path }) => readFile(join(dir, path)))),
  );
  expect(Buffer.compare(whole, stream)).toBe(0);
  const past = new TreeFiles(dir, ranges, "read", { isDirect: true });
  for (const run of runs) {
    const part = new Uint8Array(ranges.bytesOf(run * 3, 3));
    await past.read(ranges.rangesOf(run * 3, 3), part);
    const start = ranges.bytesOf(0, run * 3);
    expect(Buffer.compare(part, stream.subarray(start, start + part.length))).toBe(0);
  }
  await truncate(join(dir, "f3"), 1_000_000);
  const [from, count] = [9, 6];
  const cut = past.read(ranges.rangesOf(from, count), new Uint8Array(ranges.bytesOf(from, count)));
  await expect(cut).rejects.toMatchObject({ code: "ENODATA" });
  await past.close();
});

test("says so where a file can't be written like that", async () => {
  await writeFile(join(dir, "y"), "");
  const direct = await openDirect(join(dir, "y"), true);
  if (direct !== undefined) {
    // What file systems with larger blocks say of ours.
    expect(await new DirectIo().write(direct, new Uint8Array(blockBytes), 1)).toBe(false);
    await direct.close();
  }
  // Open for reading alone: the system refuses with another error than a file system that is unable.
  await writeFile(join(dir, "x"), "");
  const handle = await open(join(dir, "x"), "r");
  const writes = new DirectIo();
  await expect(writes.write(handle, new Uint8Array(blockBytes), 0)).rejects.toThrow("EBADF");
  await handle.close();
});
