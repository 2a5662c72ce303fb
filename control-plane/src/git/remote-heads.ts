// Asks a git remote for its branches.
import { commit as commitSchema } from "@shoal/api/names";
import { parseRemote } from "@shoal/api/remote-url";
import { ShoalError } from "@shoal/core/error";
import { branchLookMsMax } from "@shoal/core/limits";
import { type GitDeps, openGit } from "@shoal/daemon/git";
import type { ListHeads } from "../operations/watch-branches.ts";

/** Throws, from what it returns, `remote_refused` and `remote_unreachable`. */
export async function openRemoteHeads(deps: Omit<GitDeps, "environment">): Promise<ListHeads> {
  const git = await openGit({ ...deps, environment: {} });
  return async (remoteUrl, branches) => {
    const { url, publicUrl } = parseRemote(remoteUrl);
    const refs = branches.map((branch) => `refs/heads/${branch}`);
    const list = ["ls-remote", "--quiet", "--heads", "--", url, ...refs];
    const end = await git.run(deps.folder, list, { timeoutMs: branchLookMsMax });
    if (end.type === "exited" && end.exitCode === 0) return headsOf(end.stdout, branches);
    throw new ShoalError("remote_unreachable", `git can't list the branches of ${publicUrl}.`, {
      blame: "environment",
      retryable: true,
      hint: "Is the remote there, and may the control plane read it?",
      // What git says may hold the URL with its credentials.
      cause: new Error(end.stderr.replaceAll(url, publicUrl)),
    });
  };
}

/** Branches in git's answer that were asked for: it also lists those whose name ends alike. */
function headsOf(text: string, branches: readonly string[]): ReadonlyMap<string, string> {
  const heads = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [commit = "", ref = ""] = line.split("\t");
    const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
    if (branch === null || !branches.includes(branch)) continue;
    if (commitSchema.safeParse(commit).success) heads.set(branch, commit);
  }
  return heads;
}
