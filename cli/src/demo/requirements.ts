// What the demo needs from the machine, and the one line that says how to get it.
import { ShoalError } from "@shoal/core/error";
import type { Machine } from "../doctor/machine.ts";
import { checkBubblewrap, checkGit, checkUserNamespaces } from "../doctor/programs.ts";

/** Throws `git_missing` where there is no git that will do. */
export async function requireGit(machine: Pick<Machine, "run">): Promise<void> {
  const git = await checkGit(machine);
  if (git.level === "ok") return;
  throw new ShoalError("git_missing", `${git.says}.`, {
    blame: "environment",
    hint: `Install it: ${git.fix}`,
  });
}

/** Null when builds can be isolated; otherwise one line that says why not and what to do. */
export async function whyNoSandbox(
  machine: Pick<Machine, "run" | "readText" | "isRoot">,
): Promise<string | null> {
  for (const finding of [await checkBubblewrap(machine), await checkUserNamespaces(machine)]) {
    if (finding.level !== "ok")
      return `Builds run without isolation: ${finding.says}. To isolate them: ${finding.fix}`;
  }
  return null;
}
