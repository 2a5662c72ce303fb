import { expect, test } from "vitest";
import { TrackedFile } from "../tracked-file.ts";
import { complaints } from "./bad-example.ts";
import { binarySize, fileLinesMax, fileSize, functionLinesMax, functionSize } from "./sizes.ts";

const lines = (count: number, line = "call();\n"): string => line.repeat(count);

test("a file may have as many lines as allowed, and not one more", () => {
  expect(complaints(fileSize, { "core/a.ts": lines(fileLinesMax) })).toEqual([]);
  expect(complaints(fileSize, { "core/a.ts": lines(fileLinesMax + 1) })).toHaveLength(1);
});

test("a function's blank and comment lines don't count, its other lines do", () => {
  const inside = lines(functionLinesMax - 2);
  const longest = `function a() {\n${inside}\n// reason\n/**\n * more\n */\n}\n`;
  expect(complaints(functionSize, { "core/a.ts": longest })).toEqual([]);
  const tooLong = `const x = 1;\nconst a = () => {\n${lines(functionLinesMax - 1)}};\n`;
  expect(complaints(functionSize, { "core/a.ts": tooLong })).toEqual([
    "core/a.ts:2 a function of 71 lines, more than 70",
  ]);
  expect(complaints(functionSize, { "core/a.test.ts": tooLong })).toEqual([]);
});

test("a binary is small or a fixture", () => {
  const large = new Uint8Array(200_000);
  const find = (path: string): number => binarySize.find([new TrackedFile(path, large)]).length;
  expect(find("docs/picture.png")).toBe(1);
  expect(binarySize.reads("test/fixtures/v1/manifest.bin")).toBe(false);
  expect(complaints(binarySize, { "docs/long.txt": lines(100_000) })).toEqual([]);
});
