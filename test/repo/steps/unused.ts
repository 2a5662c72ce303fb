// Is there a file, an export or a dependency that nobody uses, or one used and not declared (knip)?
import { runTool } from "../run-tool.ts";
import { isSource } from "../tracked-file.ts";
import { numberIn, type Step } from "./step.ts";

export const unused: Step = {
  name: "unused",
  run: async (paths) => {
    const reporters = ["--reporter", "symbols", "--reporter", "./test/repo/knip-totals.ts"];
    const { succeeded, output } = await runTool("knip", ["--no-progress", ...reporters]);
    return {
      filesSeen: numberIn(output, /knip looked at (\d+) files/),
      filesExpected: paths.filter(isSource).length,
      problems: succeeded ? "" : output,
    };
  },
};
