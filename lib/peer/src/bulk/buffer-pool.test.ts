import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runBytesMax } from "@shoal/core/limits";
import { mebibyte } from "@shoal/core/units";
import { blockBytes, openDirect } from "@shoal/store/direct-io";
import { BufferPool } from "./buffer-pool.ts";

test.for([1, 16_384, 65_536, 65_537, mebibyte, 2 * mebibyte + 1, runBytesMax])(
  "gives a run of %i bytes with its head, wherever it is to begin",
  (bytes) => {
    const pool = new BufferPool(100 * mebibyte);
    for (const phase of [0, 1, blockBytes - 1]) {
      const frame = pool.take(bytes, { phase, headBytes: 12 });
      expect(frame.length).toBe(12 + bytes);
      if (bytes >= 16_384) expect((frame.byteOffset + 12) % blockBytes).toBe(phase);
      frame.fill(phase);
      pool.give(frame);
    }
  },
);

test("gives the same memory again, for any long run", () => {
  const pool = new BufferPool(100 * mebibyte);
  const first = pool.take(3 * mebibyte);
  pool.give(first);
  expect(pool.take(2 * mebibyte).buffer).toBe(first.buffer);
});

test("gives the memory of which just enough was used before, and grows what lacks least", () => {
  const pool = new BufferPool(100 * mebibyte);
  const lengths = [2, 4, 3].map((count) => count * mebibyte);
  const taken = lengths.map((length) => pool.take(length));
  for (const each of taken) pool.give(each);
  const again = [3, 2, 5].map((count) => pool.take(Math.min(count * mebibyte, runBytesMax)));
  expect(again.map(({ buffer }) => taken.findIndex((each) => each.buffer === buffer))).toEqual([
    2, 0, 1,
  ]);
});

test("keeps no more than it may, counted by what was used of it", () => {
  const pool = new BufferPool(5 * mebibyte);
  const taken = Array.from({ length: 3 }, () => pool.take(2 * mebibyte));
  for (const each of taken) pool.give(each);
  // What isn't kept is gone at once.
  expect(taken.map(({ buffer }) => buffer.byteLength > 0)).toEqual([true, true, false]);
});

test("its memory can be written past the page cache as it is", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shoal-pool-"));
  const path = join(dir, "file");
  await writeFile(path, "");
  const direct = await openDirect(path, true);
  if (direct !== undefined) {
    const run = new BufferPool(mebibyte).take(8 * blockBytes, { phase: 1 }).fill(7);
    const blocks = run.subarray(blockBytes - 1, 2 * blockBytes - 1);
    await direct.write(blocks, 0, blockBytes, 0);
    await direct.close();
    expect(Buffer.compare(await readFile(path), blocks)).toBe(0);
  }
  await rm(dir, { recursive: true });
});
