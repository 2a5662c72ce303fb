import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { fileHeads } from "./file-heads.ts";

test("a source file opens with a comment, a test need not", () => {
  expect(complaints(fileHeads, { "core/a.ts": "export const a = 1;\n" })).toHaveLength(1);
  expect(complaints(fileHeads, { "core/a.ts": "// Why.\nexport const a = 1;\n" })).toEqual([]);
  expect(complaints(fileHeads, { "core/a.ts": "#!/usr/bin/env node\n/** Why. */\n" })).toEqual([]);
  expect(complaints(fileHeads, { "core/a.test.ts": "export const a = 1;\n" })).toEqual([]);
});
