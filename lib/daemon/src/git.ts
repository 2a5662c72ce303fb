// git, run so that nothing but our own arguments configures it: no system or user configuration, no
// hooks, no filters, no prompts, no transports beside https, ssh and file. Content of a repository can
// ask for filters in .gitattributes, but only configuration could define one, and there is none.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ProgramEnd, runProgram } from "./program.ts";

export interface GitDeps {
  /** Where git, ssh and the remote helpers are found. */
  readonly path: string;
  /** What git gets beside its own settings: a mark, say, by which leftovers of a killed process are found. */
  readonly environment: Readonly<Record<string, string>>;
  /** A folder of ours for git's configuration file. */
  readonly folder: string;
  /** The home of who runs it, where ssh finds its keys and known hosts. */
  readonly home: string;
}

export interface GitRun {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface Git {
  /** Runs git in a folder; never throws for git's own exit code. */
  run(folder: string, args: readonly string[], options: GitRun): Promise<ProgramEnd>;
}

// The file is given as the *global* configuration because that also reaches the git that serves a
// local remote; `-c` settings don't. `safe.directory = *`: a local remote may belong to another user,
// and serving objects from it runs nothing of it.
const configuration = `[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tfsmonitor = false
\tsymlinks = true
[protocol]
\tversion = 2
\tallow = never
[protocol "https"]
\tallow = always
[protocol "ssh"]
\tallow = always
[protocol "file"]
\tallow = always
[submodule]
\trecurse = false
[fetch]
\trecurseSubmodules = false
[uploadpack]
\tallowFilter = true
[gc]
\tauto = 0
[maintenance]
\tauto = false
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 30
[advice]
\tdetachedHead = false
`;

/** Writes git's configuration and returns a runner. */
export async function openGit(deps: GitDeps): Promise<Git> {
  await mkdir(deps.folder, { recursive: true, mode: 0o755 });
  const configFile = join(deps.folder, "gitconfig");
  await writeFile(configFile, configuration);
  const environment = {
    ...deps.environment,
    PATH: deps.path,
    HOME: deps.home,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: configFile,
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    SSH_ASKPASS: "true",
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_ALLOW_PROTOCOL: "https:ssh:file",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oConnectTimeout=20",
    GIT_ADVICE: "0",
  };
  return {
    run: (folder, args, options) =>
      runProgram("git", ["-C", folder, ...args], { ...options, environment }),
  };
}
