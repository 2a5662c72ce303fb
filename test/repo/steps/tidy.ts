// Does the repository keep its own rules? They also run as tests (tidy.test.ts).
import { readRepository } from "../repository.ts";
import { applyRule, findingLine } from "../rule.ts";
import { allRules } from "../rules/all-rules.ts";
import type { Step } from "./step.ts";

export const tidy: Step = {
  name: "tidy",
  run: async (paths) => {
    const files = readRepository();
    const results = allRules.map((rule) => applyRule(rule, files));
    const lines = results.flatMap((result) =>
      result.findings.map((finding) => findingLine(result, finding)),
    );
    return Promise.resolve({
      filesSeen: files.length,
      filesExpected: paths.length,
      problems: lines.join("\n"),
    });
  },
};
