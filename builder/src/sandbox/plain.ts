// No sandbox: the build is a plain process. It can see and, as the builder's own user, touch what the
// builder can; started by root it runs as an unprivileged user. Limits, clean environment and the end
// of all its processes hold as far as they can without namespaces: a build that clears its environment
// and leaves its process group is found again only by its control group.
import { join } from "node:path";
import { type LaunchInput, plainCommand } from "./launch.ts";
import { processLimits } from "./rlimits.ts";
import type { Sandbox, SandboxRun } from "./sandbox.ts";
import { type SuperviseDeps, supervise } from "./supervise.ts";

export function createPlain(deps: SuperviseDeps, config: { readonly toolbox: string }): Sandbox {
  const uid = deps.uid ?? process.getuid?.() ?? 0;
  return {
    kind: "none",
    describe: `none, ${deps.limiter?.describe ?? "rlimits"}`,
    run: (run) => {
      const environment = environmentOf(deps, config.toolbox, run);
      const launch = {
        argv: async (group: { readonly joinFiles: readonly string[] } | null) => {
          const user = { uid, ownNamespace: false };
          const input: LaunchInput = {
            folders: run.folders,
            command: run.command,
            proxyFolder: run.proxyFolder,
            tools: config.toolbox,
            environment,
            limits: run.limits,
            joinFiles: group?.joinFiles ?? [],
            uid: deps.uid,
            rlimits: group === null ? await processLimits(run.limits, user) : null,
          };
          return plainCommand(input);
        },
        cwd: run.folders.source,
        environment,
        filter: null,
        reports: false,
      };
      return supervise(deps, launch, run);
    },
  };
}

function environmentOf(
  deps: SuperviseDeps,
  toolbox: string,
  run: SandboxRun,
): Readonly<Record<string, string>> {
  return {
    PATH: `${join(toolbox, "bin")}:${deps.searchPath}`,
    HOME: run.folders.home,
    TMPDIR: run.folders.temporary,
    SHOAL_SECRETS: run.folders.secrets,
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    TERM: "dumb",
    CI: "true",
    ...run.environment,
  };
}
