import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { lockFile } from "./lock-file.ts";

function locking(...places: string[]): Record<string, string> {
  const parser = { optionalDependencies: { "@parser/darwin": "1.0.0" } };
  const others = Object.fromEntries(places.map((place) => [place, {}]));
  const packages = { "": {}, "test/node_modules/parser": parser, ...others };
  return { "package-lock.json": JSON.stringify({ packages }) };
}

test("finds a platform's package that is not locked", () => {
  expect(complaints(lockFile, locking())).toEqual([
    "package-lock.json:0 test/node_modules/parser needs @parser/darwin, which is not locked",
  ]);
  expect(complaints(lockFile, locking("cli/node_modules/@parser/darwin"))).toHaveLength(1);
});

test.for([
  "node_modules/@parser/darwin",
  "test/node_modules/@parser/darwin",
  "test/node_modules/parser/node_modules/@parser/darwin",
])("finds it locked at %s", (place) => {
  expect(complaints(lockFile, locking(place))).toEqual([]);
});
