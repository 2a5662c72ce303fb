// How large things may grow before they are cut: the second opinion to the linter's, which a comment
// can switch off. Blank and comment lines of a function don't count, lines of a file all do.
import type { Finding, Rule } from "../rule.ts";
import { isSource, isTest, type TrackedFile } from "../tracked-file.ts";

export const fileLinesMax = 400;
export const functionLinesMax = 70;
export const binaryBytesMax = 100 * 1024;

/** A list to look things up in, not a story to follow: there is one place for limits. */
const lists = new Set(["core/src/limits.ts"]);

export const fileSize: Rule = {
  name: "files are short enough to read at once",
  reads: (path) => isSource(path) && !lists.has(path),
  find: (files) =>
    files
      .filter((file) => file.lines.length > fileLinesMax)
      .map(({ path, lines }) => ({
        path,
        line: 0,
        message: `${lines.length} lines, more than ${fileLinesMax}`,
      })),
};

export const functionSize: Rule = {
  name: "functions are short enough to read at once",
  // A `describe` is as long as the story it tells.
  reads: (path) => isSource(path) && !isTest(path),
  find: (files) => files.flatMap(longFunctions),
};

function longFunctions(file: TrackedFile): Finding[] {
  const findings: Finding[] = [];
  const check = (node: { readonly start: number; readonly end: number }): void => {
    const first = file.lineOf(node.start);
    const code = file.lines
      .slice(first - 1, file.lineOf(node.end))
      .filter((line) => !/^\s*($|\/\/|\/?\*)/.test(line));
    if (code.length <= functionLinesMax) return;
    const message = `a function of ${code.length} lines, more than ${functionLinesMax}`;
    findings.push({ path: file.path, line: first, message });
  };
  file.visit({
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  });
  return findings;
}

export const binarySize: Rule = {
  name: "no large binary outside of fixtures",
  reads: (path) => !/(^|\/)fixtures\//.test(path),
  find: (files) =>
    files
      .filter((file) => file.text === undefined && file.byteCount > binaryBytesMax)
      .map(({ path, byteCount }) => ({
        path,
        line: 0,
        message: `a binary of ${byteCount} bytes, more than ${binaryBytesMax}`,
      })),
};
