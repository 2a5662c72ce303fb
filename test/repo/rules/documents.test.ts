import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { documents } from "./documents.ts";

test("finds a path in a document that leads nowhere", () => {
  const files = {
    "core/src/cid.ts": "",
    "README.md": "Not in a document: core/src/gone.ts\n`core/src/cid.ts`, `core/src/gone.ts`",
    "core/src/a.ts": "// `core/src/gone.ts`",
  };
  expect(complaints(documents, files)).toEqual(["README.md:2 core/src/gone.ts doesn't exist"]);
});

test("knows folders and files without their ending, and leaves patterns and other paths alone", () => {
  const text = "`core/src/`, `core/src`, `core/src/cid`, `lib/*`, `/v1/builds`, `and/or`, `x.ts`";
  expect(complaints(documents, { "core/src/cid.ts": "", "docs/a.md": text })).toEqual([]);
});
