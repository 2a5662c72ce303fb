// Is everything as oxfmt prints it?
import { runTool } from "../run-tool.ts";
import { isSource } from "../tracked-file.ts";
import { numberIn, type Step } from "./step.ts";

export const format: Step = {
  name: "format",
  run: async (paths) => {
    const { succeeded, output } = await runTool("oxfmt", ["--check", "."]);
    return {
      filesSeen: numberIn(output, /on (\d+) files/),
      filesExpected: paths.filter(isSource).length,
      problems: succeeded ? "" : output,
    };
  },
};
