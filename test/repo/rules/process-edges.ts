// The environment is read, and the process is ended, at its edge: nowhere else can a caller see it.
import type { Finding, Rule } from "../rule.ts";
import { isSource, isTest, type TrackedFile } from "../tracked-file.ts";

interface Edge {
  readonly property: "env" | "exit" | "argv";
  readonly allowed: RegExp;
}

const edges: readonly Edge[] = [
  { property: "env", allowed: /(^|\/)(config|main)\.ts$/ },
  { property: "argv", allowed: /(^|\/)((config|main)\.ts|vitest\.config\.ts)$/ },
  { property: "exit", allowed: /(^|\/)main\.ts$|^lib\/daemon\// },
];

export const processEdges: Rule = {
  name: "the environment and the end of a process belong to its edge",
  reads: (path) => isSource(path) && !isTest(path),
  find: (files) => files.flatMap(findInFile),
};

function findInFile(file: TrackedFile): Finding[] {
  const findings: Finding[] = [];
  file.visit({
    MemberExpression: (node) => {
      if (node.object.type !== "Identifier" || node.object.name !== "process") return;
      if (node.property.type !== "Identifier") return;
      const name = node.property.name;
      const edge = edges.find(({ property }) => property === name);
      if (edge === undefined || edge.allowed.test(file.path)) return;
      const message = `process.${name} is for ${String(edge.allowed)} only`;
      findings.push({ path: file.path, line: file.lineOf(node.start), message });
    },
  });
  return findings;
}
