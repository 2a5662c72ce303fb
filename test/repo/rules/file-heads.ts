// A stranger learns from the first lines what a file is for and what it promises.
import type { Rule } from "../rule.ts";
import { isSource } from "../tracked-file.ts";

export const fileHeads: Rule = {
  name: "files open with what they are for",
  // The name of a test says what it tests.
  reads: (path) => isSource(path) && !path.endsWith(".test.ts"),
  find: (files) =>
    files
      .filter(({ lines }) => !/^\/[/*]/.test(lines.find((line) => !line.startsWith("#!")) ?? ""))
      .map(({ path }) => ({ path, line: 1, message: "the file doesn't open with a comment" })),
};
