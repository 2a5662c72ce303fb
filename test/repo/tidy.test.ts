// Holds the repository to its own rules. Each rule has its own test on bad examples beside it.
import { expect, test } from "vitest";
import { readRepository } from "./repository.ts";
import { applyRule, findingLine } from "./rule.ts";
import { allRules } from "./rules/all-rules.ts";

const files = readRepository();

test.for(allRules)("$name", (rule) => {
  const result = applyRule(rule, files);
  expect(result.filesRead).toBeGreaterThan(0);
  expect(result.findings.map((finding) => findingLine(result, finding))).toEqual([]);
});
