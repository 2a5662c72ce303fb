import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { testNames } from "./test-names.ts";

test("refuses a second test of the same name", () => {
  const text = 'test("a", () => {});\ntest("b", () => {});\ntest.skip("a", () => {});\n';
  expect(complaints(testNames, { "core/a.test.ts": text })).toEqual([
    'core/a.test.ts:3 another test of this file is called "a"',
  ]);
});

test("reads the names of tables", () => {
  const text = 'test.for([1])("a", () => {});\ntest.for([2])("a", () => {});\n';
  expect(complaints(testNames, { "core/a.test.ts": text })).toHaveLength(1);
});

test("tells tests of different describes apart", () => {
  const text = [
    'describe("x", () => { test("a", () => {}); });',
    'describe("y", () => { test("a", () => {}); });',
    'test("a", () => {});',
  ].join("\n");
  expect(complaints(testNames, { "core/a.test.ts": text })).toEqual([]);
});
