// Asks a git remote for its branches, with a git that nothing but this file configures: no configuration
// of system or user, no prompts, no transports beside https, ssh and file, a deadline, a bounded answer.
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { commit as commitSchema } from "@shoal/api/names";
import { parseRemote } from "@shoal/api/remote-url";
import { ShoalError } from "@shoal/core/error";
import { branchListBytesMax, branchLookMsMax } from "@shoal/core/limits";
import type { ListHeads } from "../operations/watch-branches.ts";

const run = promisify(execFile);

export interface RemoteHeadsConfig {
  /** A folder of ours for git's configuration file. */
  readonly folder: string;
  /** Where git and ssh are found. */
  readonly searchPath: string;
  /** Where ssh finds keys and known hosts. */
  readonly home: string;
}

// The global configuration also reaches the git that serves a local remote, and a local remote may
// belong to another user.
const configuration = `[safe]
\tdirectory = *
[protocol]
\tallow = never
[protocol "https"]
\tallow = always
[protocol "ssh"]
\tallow = always
[protocol "file"]
\tallow = always
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 10
`;

/** Throws, from what it returns, `remote_refused` and `remote_unreachable`. */
export async function openRemoteHeads(config: RemoteHeadsConfig): Promise<ListHeads> {
  await mkdir(config.folder, { recursive: true, mode: 0o700 });
  const file = join(config.folder, "gitconfig");
  await writeFile(file, configuration);
  const env = {
    PATH: config.searchPath,
    HOME: config.home,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: file,
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    SSH_ASKPASS: "true",
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_ALLOW_PROTOCOL: "https:ssh:file",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oConnectTimeout=10",
  };
  return async (remoteUrl, branches) => {
    const { url, publicUrl } = parseRemote(remoteUrl);
    const refs = branches.map((branch) => `refs/heads/${branch}`);
    const options = {
      env,
      cwd: config.folder,
      timeout: branchLookMsMax,
      maxBuffer: branchListBytesMax,
      killSignal: "SIGKILL",
    } as const;
    const list = ["ls-remote", "--quiet", "--heads", "--", url, ...refs];
    const { stdout } = await run("git", list, options).catch((cause: unknown) => {
      throw new ShoalError("remote_unreachable", `git can't list the branches of ${publicUrl}.`, {
        blame: "environment",
        retryable: true,
        hint: "Is the remote there, and may the control plane read it?",
        cause,
      });
    });
    return headsOf(stdout, branches);
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
