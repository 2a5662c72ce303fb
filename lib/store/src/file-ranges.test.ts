import { expect, test } from "vitest";
import { blockBytes } from "./direct-io.ts";
import { FileRanges } from "./file-ranges.ts";

test("memory for a run begins where the longest part of it lies in a block of its file", () => {
  const sizes = [10, 5 * blockBytes, 0, blockBytes];
  const entries = sizes.map((bytes, index) => {
    return { type: "file" as const, path: `f${index}`, mode: 0o644, bytes };
  });
  const chunkBytes = Uint32Array.from([4, 6 + 3 * blockBytes, blockBytes + 7, 2 * blockBytes - 7]);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const ranges = new FileRanges({
    kind: "tree",
    entries,
    bytes,
    chunkBytes,
    chunkHashes: new Uint8Array(0),
  });
  // The first file's middle; six bytes before the second file's start; a block's start; seven bytes after one.
  expect(ranges.phaseOf(0, 1)).toBe(0);
  expect(ranges.phaseOf(1, 1)).toBe(blockBytes - 6);
  expect(ranges.phaseOf(2, 1)).toBe(0);
  expect(ranges.phaseOf(2, 2)).toBe(0);
  // Its longest part is the whole of the last file, which lies after the last block of the second one.
  expect(ranges.phaseOf(3, 1)).toBe(7);
  expect(ranges.phaseOf(0, 0)).toBe(0);
});
