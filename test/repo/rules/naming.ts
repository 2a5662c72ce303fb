// Names that promise nothing, and files that only pass things on.
import type { Finding, Rule } from "../rule.ts";
import { isSource, type TrackedFile } from "../tracked-file.ts";

const drawers = new Set([
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "shared",
  "misc",
  "types",
]);

export const drawerNames: Rule = {
  name: "no drawers",
  reads: (path) => !/(^|\/)(fixtures|examples)\//.test(path),
  find: (files) =>
    files.flatMap(({ path }) => {
      const drawer = path.split("/").find((part) => drawers.has(part.replace(/\..*$/, "")));
      if (drawer === undefined) return [];
      return [{ path, line: 0, message: `"${drawer}" is a drawer: name it for its one job` }];
    }),
};

export const barrels: Rule = {
  name: "no barrels",
  reads: isSource,
  find: (files) => files.flatMap(passedOn),
};

function passedOn(file: TrackedFile): Finding[] {
  const findings: Finding[] = [];
  const add = (node: { readonly start: number }): void => {
    const message = "a file exports what it makes itself: import the other file where it is needed";
    findings.push({ path: file.path, line: file.lineOf(node.start), message });
  };
  file.visit({
    ExportAllDeclaration: add,
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) add(node);
    },
  });
  return findings;
}
