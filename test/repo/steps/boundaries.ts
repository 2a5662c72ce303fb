// Does any workspace import what its tag or its package.json doesn't allow (turbo.json)?
import { runTool } from "../run-tool.ts";
import { isSource } from "../tracked-file.ts";
import { numberIn, type Step } from "./step.ts";

export const boundaries: Step = {
  name: "boundaries",
  run: async (paths) => {
    const { succeeded, output } = await runTool("turbo", ["boundaries"]);
    return {
      filesSeen: numberIn(output, /Checked (\d+) files/),
      filesExpected: paths.filter((path) => isSource(path) && path.includes("/")).length,
      problems: succeeded ? "" : output,
    };
  },
};
