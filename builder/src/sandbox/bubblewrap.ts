// The sandbox that isolates: namespaces of its own for users, processes, network, mounts and names,
// made by bubblewrap, under an unprivileged user also outside when the builder is root: root's 0600
// files stay closed to it even where a folder with some is bound.
import { randomBytes } from "node:crypto";
import { ShoalError } from "@shoal/core/error";
import { runProgram } from "@shoal/daemon/program";
import { makeWorkspace, removeTree } from "../workspace.ts";
import { type LaunchInput, type Mount, bubblewrapCommand, inside, systemPath } from "./launch.ts";
import { requireSuccess } from "../failure.ts";
import { processLimits } from "./rlimits.ts";
import type { Sandbox, SandboxEnd, SandboxRun } from "./sandbox.ts";
import { seccompFilter } from "./seccomp.ts";
import { type SuperviseDeps, supervise } from "./supervise.ts";

export interface BubblewrapConfig {
  readonly mounts: readonly Mount[];
  readonly toolbox: string;
  readonly arch: string;
  /** A folder of the builder's scratch, for the trial run. */
  readonly trialFolder: string;
}

/**
 * Makes the sandbox and tries it.
 * @throws ShoalError `sandbox_unavailable`, whose hint says what to install or allow.
 */
export async function createBubblewrap(
  deps: SuperviseDeps,
  config: BubblewrapConfig,
): Promise<Sandbox> {
  const help = await readHelp(deps.searchPath);
  const filter = seccompFilter(config.arch);
  if (filter === null) {
    deps.log.warn({ arch: config.arch }, "no system-call filter is written for this architecture");
  }
  const settings = {
    mounts: config.mounts,
    toolbox: config.toolbox,
    disableUserns: help.includes("--disable-userns"),
  };
  const run = (input: SandboxRun): Promise<SandboxEnd> =>
    supervise(
      deps,
      {
        argv: async (group) => {
          const launch = await launchInput(deps, input, group?.joinFiles ?? null);
          return bubblewrapCommand(launch, settings, filter !== null);
        },
        cwd: "/",
        environment: { PATH: deps.searchPath },
        filter,
        reports: true,
      },
      input,
    );
  const sandbox: Sandbox = {
    kind: "bubblewrap",
    describe: `bubblewrap, ${deps.limiter?.describe ?? "rlimits"}${filter === null ? ", no system-call filter" : ""}`,
    run,
  };
  await tryOut(sandbox, config.trialFolder, deps);
  return sandbox;
}

async function readHelp(searchPath: string): Promise<string> {
  try {
    const environment = { PATH: searchPath };
    return (await runProgram("bwrap", ["--help"], { environment, timeoutMs: 10_000 })).stdout;
  } catch (cause) {
    throw new ShoalError("sandbox_unavailable", "bubblewrap isn't installed.", {
      blame: "environment",
      hint: "apt-get install bubblewrap, or start with --sandbox none to build without isolation",
      cause,
    });
  }
}

async function launchInput(
  deps: SuperviseDeps,
  run: SandboxRun,
  joinFiles: readonly string[] | null,
): Promise<LaunchInput> {
  const uid = deps.uid ?? process.getuid?.() ?? 0;
  return {
    folders: run.folders,
    command: run.command,
    proxyFolder: run.proxyFolder,
    tools: inside.tools,
    environment: { ...baseEnvironment, ...run.environment },
    limits: run.limits,
    joinFiles: joinFiles ?? [],
    uid: deps.uid,
    rlimits:
      joinFiles === null ? await processLimits(run.limits, { uid, ownNamespace: true }) : null,
  };
}

const baseEnvironment = {
  PATH: `${inside.tools}/bin:${systemPath}`,
  HOME: inside.home,
  TMPDIR: inside.temporary,
  SHOAL_SECRETS: inside.secrets,
  USER: "build",
  LOGNAME: "build",
  SHELL: "/bin/sh",
  LANG: "C.UTF-8",
  TERM: "dumb",
  CI: "true",
};

/** Installed isn't allowed: many machines forbid user namespaces. A trial tells at the start. */
async function tryOut(sandbox: Sandbox, folder: string, deps: SuperviseDeps): Promise<void> {
  const id = `trial-${randomBytes(4).toString("hex")}`;
  const workspace = await makeWorkspace(folder, id, deps);
  try {
    const said: Uint8Array[] = [];
    const end = await sandbox.run({
      id,
      workspace: workspace.folder,
      folders: workspace.folders,
      command: "node --version && touch /build/x /tmp/x && test ! -w /usr",
      environment: {},
      limits: trialLimits,
      proxyFolder: null,
      onOutput: async (bytes) => void said.push(bytes),
      signal: AbortSignal.timeout(trialLimits.timeoutMs),
    });
    if (end.type === "exited" && end.exitCode === 0) return;
    // Says so: it has nothing to do with bubblewrap.
    if (end.type === "builderDiskFull") requireSuccess(end, trialLimits);
    const text = Buffer.concat(said).toString("utf8").trim().slice(0, 500);
    const message = `A trial build in bubblewrap failed (${end.type}): ${text}`;
    throw new ShoalError("sandbox_unavailable", message, {
      blame: "environment",
      hint: "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), or start with --sandbox none",
    });
  } finally {
    await removeTree(workspace.folder, deps.searchPath);
  }
}

const trialLimits = {
  memoryBytesMax: 512 * 1024 ** 2,
  cpuPercentMax: 100,
  processesMax: 64,
  timeoutMs: 20_000,
  diskBytesMax: 1024 ** 2,
};
