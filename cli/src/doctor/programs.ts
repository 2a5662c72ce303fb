// Node, git, and what builds are isolated with.
import { fine, warning, wrong, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** Type stripping without a flag and `await using` need it. */
const nodeMajorMin = 26;
/** The first with every option that checkouts use. */
const gitVersionMin = [2, 31] as const;
/** Nobody's user: what isn't root's privilege shows with it. */
const nobodyUid = 65_534;

export function checkNode(machine: Pick<Machine, "nodeVersion">): Finding {
  const major = Number.parseInt(machine.nodeVersion, 10);
  if (major >= nodeMajorMin) return fine("node", `Node ${machine.nodeVersion}`);
  return wrong(
    "node",
    `Node ${machine.nodeVersion} is too old, ${nodeMajorMin} is needed`,
    "npm ci brings it: start Shoal with npm run shoal",
  );
}

export async function checkGit(machine: Pick<Machine, "run">): Promise<Finding> {
  const install = "apt-get install git (Debian, Ubuntu) or dnf install git (Fedora)";
  const end = await machine.run("git", ["--version"]);
  if (end === null) return wrong("git", "git isn't installed", install);
  const [, major, minor] = /(\d+)\.(\d+)/.exec(end.text) ?? [];
  if (!end.ok || major === undefined || minor === undefined)
    return wrong("git", `git doesn't run: ${end.text}`, install);
  const [majorMin, minorMin] = gitVersionMin;
  if (Number(major) > majorMin || (Number(major) === majorMin && Number(minor) >= minorMin))
    return fine("git", end.text);
  return wrong("git", `${end.text} is too old, ${majorMin}.${minorMin} is needed`, install);
}

/** A warning only: hosts and seeders need no sandbox, and a builder can be told to do without. */
export async function checkBubblewrap(machine: Pick<Machine, "run">): Promise<Finding> {
  const end = await machine.run("bwrap", ["--version"]);
  if (end?.ok === true) return fine("bubblewrap", end.text);
  return warning(
    "bubblewrap",
    end === null
      ? "bubblewrap isn't installed, and without it a builder starts only with --sandbox none"
      : `bubblewrap doesn't run: ${end.text}`,
    "apt-get install bubblewrap (Debian, Ubuntu) or dnf install bubblewrap (Fedora)",
  );
}

/** Tries it as an ordinary user also when started as root: builds are made by one. */
export async function checkUserNamespaces(
  machine: Pick<Machine, "run" | "readText" | "isRoot">,
): Promise<Finding> {
  const check = "user namespaces";
  const sandboxed = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"];
  const user = machine.isRoot ? nobodyUid : undefined;
  const end = await machine.run("bwrap", sandboxed, user);
  if (end === null) return fine(check, "not tried: there is no bubblewrap to try them with");
  if (end.ok) return fine(check, "an ordinary user can make them");
  return warning(
    check,
    `an ordinary user can't make them, so builds can't be isolated: ${end.text}`,
    await fixForUserNamespaces(machine),
  );
}

/** The switch that is off on this machine; distributions have different ones. */
async function fixForUserNamespaces(machine: Pick<Machine, "readText">): Promise<string> {
  const switches = [
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"],
    [
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "kernel.apparmor_restrict_unprivileged_userns=0",
    ],
    ["/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"],
  ] as const;
  for (const [path, bad, setting] of switches) {
    if ((await machine.readText(path))?.trim() === bad) return `sysctl ${setting}`;
  }
  return "in a container: start it with user namespaces allowed (for example --security-opt seccomp=unconfined)";
}
