// Puts together the command line that starts a build: join the control groups, become another user,
// enter bubblewrap, set resource limits, run the project's command. Pure: text in, text out.
import type { BuildLimits } from "@shoal/api/control-plane";
import { buildMemorySlackBytes } from "@shoal/core/limits";

export interface LaunchFolders {
  readonly source: string;
  readonly temporary: string;
  readonly home: string;
  /** A file for each secret of the project. */
  readonly secrets: string;
}

export interface LaunchInput {
  readonly folders: LaunchFolders;
  /** For `sh -c`. */
  readonly command: string;
  /** Folder with the socket of the proxy that the command may use. */
  readonly proxyFolder: string | null;
  /** Where the command finds our tools. */
  readonly tools: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: BuildLimits;
  /** Files into which the process writes its pid before it becomes the build. */
  readonly joinFiles: readonly string[];
  /** Whom to become, when the builder is root. */
  readonly uid: number | null;
  /** Without a control group, the limits that one process can carry. */
  readonly rlimits: { readonly processesMax: number; readonly processors: string | null } | null;
}

export interface BubblewrapSettings {
  /** What of the machine the build sees, read-only; `at` is where. */
  readonly mounts: readonly Mount[];
  /** Our tools on the machine. */
  readonly toolbox: string;
  readonly disableUserns: boolean;
}

export type Mount =
  | { readonly type: "bind"; readonly from: string; readonly at: string }
  | { readonly type: "link"; readonly target: string; readonly at: string };

/** Where bubblewrap reports what it does, and where it reads the filter of system calls. */
export const statusFd = 3;
export const filterFd = 4;

/** Where things are inside the sandbox. */
export const inside = {
  source: "/build",
  temporary: "/tmp",
  home: "/home/build",
  tools: "/shoal",
  proxy: "/shoal-proxy",
  secrets: "/run/secrets",
} as const;
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Joins, then replaces itself: the pid that Node knows stays the pid of what runs.
const joinScript = `umask 022
while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done
shift
exec "$@"`;

/** A build in bubblewrap. */
export function bubblewrapCommand(
  input: LaunchInput,
  settings: BubblewrapSettings,
  filter: boolean,
): readonly string[] {
  return [
    ...prefix(input),
    ...become(input.uid),
    "bwrap",
    ...bubblewrapArguments(input, settings, filter),
    "--",
    ...build({ ...input, proxyFolder: input.proxyFolder === null ? null : inside.proxy }),
  ];
}

/** A build as a plain process: not isolated, but limited, unable to gain privileges, and killable. */
export function plainCommand(input: LaunchInput): readonly string[] {
  return [
    ...prefix(input),
    ...become(input.uid),
    "setpriv",
    "--no-new-privs",
    "--",
    ...build(input),
  ];
}

function prefix(input: LaunchInput): readonly string[] {
  return ["/bin/sh", "-c", joinScript, "shoal-build", ...input.joinFiles, "--"];
}

function become(uid: number | null): readonly string[] {
  if (uid === null) return [];
  const ids = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  return ["setpriv", ...ids, "--inh-caps=-all", "--bounding-set=-all", "--"];
}

function build(input: LaunchInput): readonly string[] {
  const { limits, rlimits, command, proxyFolder, tools } = input;
  const dataBytes = limits.memoryBytesMax + buildMemorySlackBytes;
  const processors = rlimits?.processors ?? null;
  return [
    ...(processors === null ? [] : ["taskset", "--cpu-list", processors]),
    "prlimit",
    "--core=0",
    `--fsize=${limits.diskBytesMax}`,
    ...(rlimits === null ? [] : [`--data=${dataBytes}`, `--nproc=${rlimits.processesMax}`]),
    "--",
    ...(proxyFolder === null
      ? ["/bin/sh", "-c", command]
      : [`${tools}/bin/node`, `${tools}/relay.mts`, proxyFolder, command]),
  ];
}

function bubblewrapArguments(
  { folders, environment, proxyFolder }: LaunchInput,
  settings: BubblewrapSettings,
  filter: boolean,
): readonly string[] {
  return [
    ...["--json-status-fd", String(statusFd)],
    ...(filter ? ["--seccomp", String(filterFd)] : []),
    ...(settings.disableUserns ? ["--disable-userns"] : []),
    ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"],
    ...["--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--hostname", "build"],
    ...["--new-session", "--die-with-parent", "--cap-drop", "ALL"],
    ...settings.mounts.flatMap((mount) =>
      mount.type === "bind"
        ? ["--ro-bind", mount.from, mount.at]
        : ["--symlink", mount.target, mount.at],
    ),
    ...["--ro-bind", settings.toolbox, inside.tools],
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--bind", folders.temporary, inside.temporary],
    ...["--bind", folders.home, inside.home],
    ...["--bind", folders.source, inside.source],
    ...["--ro-bind", folders.secrets, inside.secrets],
    ...(proxyFolder === null ? [] : ["--ro-bind", proxyFolder, inside.proxy]),
    ...["--remount-ro", "/", "--chdir", inside.source, "--clearenv"],
    ...Object.entries(environment).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}
