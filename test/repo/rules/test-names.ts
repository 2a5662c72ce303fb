// A failing test is found by its name: with its describes it is unique within the file.
import type { Finding, Rule } from "../rule.ts";
import { isSource, type TrackedFile } from "../tracked-file.ts";

export const testNames: Rule = {
  name: "names of tests are unique within a file",
  reads: (path) => isSource(path) && path.endsWith(".test.ts"),
  find: (files) => files.flatMap(repeatedNames),
};

function repeatedNames(file: TrackedFile): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  const described: { readonly name: string; readonly end: number }[] = [];
  file.visit({
    CallExpression: (node) => {
      const title = titleOf(file, node.arguments[0]);
      const callee = /^(describe|test|it)\b/.exec(file.text?.slice(node.start) ?? "")?.[1];
      // `test.for(rows)("name", …)` is two calls; only the one that holds the name has a title.
      if (title === undefined || callee === undefined) return;
      while ((described.at(-1)?.end ?? Infinity) < node.start) described.pop();
      if (callee === "describe") {
        described.push({ name: title, end: node.end });
        return;
      }
      const name = [...described.map((outer) => outer.name), title].join(" > ");
      if (seen.has(name)) {
        const message = `another test of this file is called "${name}"`;
        findings.push({ path: file.path, line: file.lineOf(node.start), message });
      }
      seen.add(name);
    },
  });
  return findings;
}

function titleOf(
  file: TrackedFile,
  node: { readonly type: string; readonly start: number; readonly end: number } | undefined,
): string | undefined {
  if (node === undefined) return undefined;
  const text = file.text?.slice(node.start, node.end) ?? "";
  return /^["'`]/.test(text) ? text.slice(1, -1) : undefined;
}
