// Do the types agree, in every workspace, tests included? Core is checked twice: once without Node's
// types, and once more with its tests (core/src/tsconfig.json). A source file that no workspace's
// tsconfig.json covers is a failure: it would never be checked.
import { isAbsolute, relative } from "node:path";
import { repositoryRoot } from "../repository.ts";
import { runTool, type ToolResult } from "../run-tool.ts";
import { isSource } from "../tracked-file.ts";
import type { Step } from "./step.ts";

const projectsAtOnceMax = 2;

export const typeCheck: Step = {
  name: "types",
  run: async (paths) => {
    const projects = paths.filter((path) => /^(?!examples\/).+\/tsconfig\.json$/.test(path));
    const results = await checkAll(projects);
    const seen = new Set(results.flatMap(({ output }) => ownFiles(output)));
    const sources = paths.filter(isSource);
    return {
      filesSeen: seen.size,
      filesExpected: sources.length,
      problems: [
        ...results.flatMap(({ succeeded, output }) => (succeeded ? [] : [complaints(output)])),
        ...sources.filter((path) => !seen.has(path)).map((path) => `${path}: in no tsconfig.json`),
      ].join("\n"),
    };
  },
};

async function checkAll(projects: readonly string[]): Promise<readonly ToolResult[]> {
  const waiting = projects.values();
  const results: ToolResult[] = [];
  const work = async (): Promise<void> => {
    for (const project of waiting) {
      results.push(await runTool("tsc", ["-p", project, "--listFiles", "--pretty", "false"]));
    }
  };
  await Promise.all(Array.from({ length: projectsAtOnceMax }, work));
  return results;
}

/** The files of the repository among those that the compiler lists, relative to its root. */
function ownFiles(output: string): readonly string[] {
  return output
    .split("\n")
    .filter((line) => isAbsolute(line) && !line.includes("/node_modules/"))
    .map((line) => relative(repositoryRoot, line.trim()))
    .filter((path) => !path.startsWith(".."));
}

/** What the compiler says but for the list of files. */
function complaints(output: string): string {
  return output
    .split("\n")
    .filter((line) => !isAbsolute(line))
    .join("\n");
}
