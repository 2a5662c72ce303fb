import { expect, test } from "vitest";
import { applyRule, type Rule } from "./rule.ts";
import { TrackedFile } from "./tracked-file.ts";

const noFish: Rule = {
  name: "no fish",
  reads: (path) => path.endsWith(".ts"),
  find: (files) =>
    files
      .filter(({ text }) => text?.includes("fish") === true)
      .map(({ path }) => ({ path, line: 1, message: "a fish" })),
};

test("a rule is given the files that it reads, and says how many", () => {
  const files = [TrackedFile.ofText("a.ts", "fish"), TrackedFile.ofText("a.md", "fish")];
  expect(applyRule(noFish, files)).toEqual({
    rule: "no fish",
    filesRead: 1,
    findings: [{ path: "a.ts", line: 1, message: "a fish" }],
  });
});

test("a rule that saw no file has not passed", () => {
  expect(applyRule(noFish, [TrackedFile.ofText("a.md", "fish")]).findings).toHaveLength(1);
});

test("a file that a rule can't read is a finding", () => {
  const parsing: Rule = {
    ...noFish,
    find: ([file]) => [...(file?.imports() ?? [])].map(() => never),
  };
  const never = { path: "", line: 0, message: "" };
  const { findings } = applyRule(parsing, [TrackedFile.ofText("a.ts", "import {")]);
  expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining("a.ts")]);
});
