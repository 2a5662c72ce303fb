import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { barrels, drawerNames } from "./naming.ts";

test.for([
  "core/src/utils.ts",
  "seeder/src/helpers/pull.ts",
  "lib/api/src/types.ts",
  "shared/a.md",
])("%s is a drawer", (path) => {
  expect(complaints(drawerNames, { [path]: "" })).toHaveLength(1);
});

test("a name may contain a drawer's name", () => {
  expect(complaints(drawerNames, { "core/src/shared-piece.ts": "" })).toEqual([]);
});

test("refuses to pass on what another file makes", () => {
  const text = 'export * from "./a.ts";\nexport { b } from "./b.ts";\nexport const c = 1;\n';
  expect(complaints(barrels, { "core/src/index.ts": text })).toHaveLength(2);
});
