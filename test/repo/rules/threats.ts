// What the threat table of docs/PROTOCOL.md says that nobody can do is held by a test of each: as many tests
// as things, in the same order, and each of them where the table says, under the words that it quotes.
import type { Finding, Rule } from "../rule.ts";
import { isTest, type TrackedFile } from "../tracked-file.ts";

const protocolPath = "docs/PROTOCOL.md";

export const threats: Rule = {
  name: "what a threat can't do has a test",
  reads: (path) => path === protocolPath || isTest(path),
  find: (files) => {
    const protocol = files.find((file) => file.path === protocolPath);
    if (protocol === undefined) return [{ path: protocolPath, line: 0, message: "is missing" }];
    const rows = threatRows(protocol);
    if (rows.length === 0)
      return [{ path: protocolPath, line: 0, message: "has no table of threats" }];
    const tests = new Map(files.map((file) => [file.path, file]));
    return rows.flatMap(({ cells, line }) =>
      complaintsOf(cells, tests).map((message): Finding => ({
        path: protocolPath,
        line,
        message,
      })),
    );
  },
};

interface Row {
  readonly cells: readonly string[];
  readonly line: number;
}

function threatRows({ lines }: TrackedFile): readonly Row[] {
  const head = lines.findIndex((line) => line.startsWith("| threat |"));
  if (head === -1) return [];
  const after = lines.slice(head + 2);
  const end = after.findIndex((line) => !line.startsWith("|"));
  return after.slice(0, end === -1 ? after.length : end).map((text, index) => ({
    cells: text
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
    line: head + 3 + index,
  }));
}

function complaintsOf(
  [threat = "", , cannot = "", heldBy = ""]: readonly string[],
  tests: ReadonlyMap<string, TrackedFile>,
): readonly string[] {
  const things = cannot.split(";").map((thing) => thing.trim());
  const held = Array.from(heldBy.matchAll(/`([^`]+)` "([^"]+)"/g), ([, path, name]) => ({
    path: path ?? "",
    name: name ?? "",
  }));
  if (held.length !== things.length) {
    return [`${threat}: ${things.length} things that it can't do, and ${held.length} tests`];
  }
  return held.flatMap(({ path, name }) => {
    const file = tests.get(path);
    if (file === undefined) return [`${threat}: ${path} is no test`];
    return file.text?.includes(name) === true ? [] : [`${threat}: ${path} has no test "${name}"`];
  });
}
