import { expect, test } from "vitest";
import { judge, numberIn } from "./step.ts";

test("a step passes when its tool saw all files and found nothing", () => {
  expect(judge("lint", { filesSeen: 12, filesExpected: 12, problems: "" })).toEqual({
    passed: true,
    line: "lint: 12 files, ok",
  });
});

test("a step fails when its tool found something", () => {
  expect(judge("lint", { filesSeen: 12, filesExpected: 12, problems: "a.ts: no" })).toEqual({
    passed: false,
    line: "lint: 12 files, FAILED",
  });
});

test("a step fails when its tool saw too few files, or none", () => {
  expect(judge("lint", { filesSeen: 11, filesExpected: 12, problems: "" })).toEqual({
    passed: false,
    line: "lint: 11 files, FAILED: 12 were expected",
  });
  expect(judge("lint", { filesSeen: 0, filesExpected: 0, problems: "" }).passed).toBe(false);
});

test("reads the number that a tool printed, and none as 0", () => {
  expect(numberIn("Checked 113 files in 14 packages", /Checked (\d+) files/)).toBe(113);
  expect(numberIn("nothing to do", /Checked (\d+) files/)).toBe(0);
});
