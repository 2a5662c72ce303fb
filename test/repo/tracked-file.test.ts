import { expect, test } from "vitest";
import { TrackedFile } from "./tracked-file.ts";

test("finds every way to import", () => {
  const file = TrackedFile.ofText(
    "a.ts",
    [
      'import a from "one";',
      'import type { B } from "two";',
      'import "three";',
      'export { c } from "four";',
      'export * from "five";',
      'const six = await import("six");',
      'type Seven = import("seven").Seven;',
      '// import "not this";',
    ].join("\n"),
  );
  expect(file.imports().map(({ specifier, line }) => `${line} ${specifier}`)).toEqual([
    "1 one",
    "2 two",
    "3 three",
    "4 four",
    "5 five",
    "6 six",
    "7 seven",
  ]);
});

test("refuses what can't be parsed instead of finding nothing in it", () => {
  expect(() => TrackedFile.ofText("a.ts", "import {").imports()).toThrow("a.ts");
});

test("tells text from binary", () => {
  expect(new TrackedFile("a", Uint8Array.of(65, 0, 66)).text).toBeUndefined();
  expect(new TrackedFile("a", Uint8Array.of(65, 66)).text).toBe("AB");
});
