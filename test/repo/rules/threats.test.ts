import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { threats } from "./threats.ts";

const table = (cannot: string, heldBy: string): string =>
  `# Protocol\n\n| threat | can | can't | held by |\n| --- | --- | --- | --- |\n| thief | little | ${cannot} | ${heldBy} |\n\nMore.`;

const files = { "core/src/door.test.ts": 'test("keeps thieves out", () => {});' };

test("takes a test for each thing that can't be done", () => {
  const text = table("come in", '`core/src/door.test.ts` "keeps thieves out"');
  expect(complaints(threats, { ...files, "docs/PROTOCOL.md": text })).toEqual([]);
});

test.for([
  ["fewer tests than things", "come in; look in", '`core/src/door.test.ts` "keeps thieves out"'],
  ["a test that isn't there", "come in", '`core/src/window.test.ts` "keeps thieves out"'],
  ["a name that no test has", "come in", '`core/src/door.test.ts` "rings a bell"'],
  ["nothing", "come in", ""],
] as const)("finds %s", ([, cannot, heldBy]) => {
  const found = complaints(threats, { ...files, "docs/PROTOCOL.md": table(cannot, heldBy) });
  expect(found.length).toBe(1);
  expect(found[0]).toMatch(/^docs\/PROTOCOL\.md:5 thief: /);
});

test("finds that there is no table", () => {
  const found = complaints(threats, { ...files, "docs/PROTOCOL.md": "# Protocol" });
  expect(found).toEqual(["docs/PROTOCOL.md:0 has no table of threats"]);
});
