// Does oxlint, which asks the compiler for types, find anything? Warnings count.
import { runTool } from "../run-tool.ts";
import { isSource } from "../tracked-file.ts";
import { numberIn, type Step } from "./step.ts";

export const lint: Step = {
  name: "lint",
  run: async (paths) => {
    const { succeeded, output } = await runTool("oxlint", ["--type-aware", "--deny-warnings", "."]);
    return {
      filesSeen: numberIn(output, /on (\d+) files/),
      filesExpected: paths.filter(isSource).length,
      problems: succeeded ? "" : output,
    };
  },
};
