import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { focusedTests, looseEnds, silencedChecks } from "./loose-ends.ts";

// Put together here, so that this file has no loose ends itself.
const todo = ["TO", "DO"].join("");
const only = ["on", "ly"].join("");
const disable = ["oxlint", "disable-next-line"].join("-");

test("finds unfinished work in code and documents", () => {
  expect(complaints(looseEnds, { "a.ts": `// ${todo}: later`, "docs/a.md": todo })).toHaveLength(2);
  expect(complaints(looseEnds, { "a.ts": "// todoist" })).toEqual([]);
});

test("finds the paths of somebody's own machine", () => {
  const path = ["", "work", "main"].join("/");
  expect(complaints(looseEnds, { "a.ts": `const a = "${path}";` })).toHaveLength(1);
  expect(complaints(looseEnds, { "a.ts": 'const a = "builder/work/main";' })).toEqual([]);
});

test("finds tests that keep the others from running", () => {
  expect(
    complaints(focusedTests, { "core/a.test.ts": `test.${only}("a", () => {});` }),
  ).toHaveLength(1);
  expect(complaints(focusedTests, { "core/a.test.ts": 'test("only", () => {});' })).toEqual([]);
});

test("a silenced lint rule has a reason, a silenced type has none", () => {
  expect(complaints(silencedChecks, { "core/a.ts": `// ${disable} no-var` })).toHaveLength(1);
  expect(complaints(silencedChecks, { "core/a.ts": `// ${disable} no-var -- old` })).toEqual([]);
  expect(complaints(silencedChecks, { "core/a.ts": ["// @ts", "ignore"].join("-") })).toHaveLength(
    1,
  );
});
