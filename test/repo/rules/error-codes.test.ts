import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { errorCodes } from "./error-codes.ts";

const thrower = 'throw new ShoalError("net_torn", "The net is torn.", { blame: "local" });\n';
const other = 'throw remoteError(late ? "tide_out" : "tide_in", "No water.");\n';

function protocol(...codes: string[]): string {
  const rows = codes.map((code) => `| \`${code}\` | local | … |`);
  return `## 7. Error codes\n\n| code | blame | meaning |\n| --- | --- | --- |\n${rows.join("\n")}\n`;
}

test("accepts codes that are thrown and documented", () => {
  const text = protocol("net_torn", "tide_in", "tide_out");
  const files = { "docs/PROTOCOL.md": text, "core/a.ts": thrower, "core/b.ts": other };
  expect(complaints(errorCodes, files)).toEqual([]);
});

test("finds a code without a row, once", () => {
  const files = { "docs/PROTOCOL.md": protocol("tide_in"), "core/a.ts": thrower + thrower + other };
  expect(complaints(errorCodes, files)).toEqual([
    'core/a.ts:1 net_torn has no row in docs/PROTOCOL.md, "Error codes"',
    'core/a.ts:3 tide_out has no row in docs/PROTOCOL.md, "Error codes"',
  ]);
});

test("finds a row that nobody throws, and a row out of order", () => {
  const files = { "docs/PROTOCOL.md": protocol("whale", "net_torn"), "core/a.ts": thrower };
  expect(complaints(errorCodes, files)).toEqual([
    "docs/PROTOCOL.md:5 nobody throws whale",
    "docs/PROTOCOL.md:6 net_torn belongs before whale, and only once",
  ]);
});

test("takes a code that is put together from a word and an ending as thrown", () => {
  const text = 'throw remoteError(`${what}_expired`, "Too late.");\n';
  const files = { "docs/PROTOCOL.md": protocol("grant_expired", "grant_gone"), "core/a.ts": text };
  expect(complaints(errorCodes, files)).toEqual(["docs/PROTOCOL.md:6 nobody throws grant_gone"]);
});

test("notices that the table is gone", () => {
  expect(complaints(errorCodes, { "core/a.ts": thrower })).toHaveLength(1);
});
