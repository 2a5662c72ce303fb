// Where this process's control groups lie, in either version of the interface (cgroups(7)). Reads
// /proc text only; makes nothing.
import { posix } from "node:path";

export type Controller = "memory" | "pids" | "cpu";

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** The folder of the group that we are in, for each controller that there is. */
  readonly folders: ReadonlyMap<Controller, string>;
}

const controllers: readonly Controller[] = ["memory", "pids", "cpu"];

/**
 * Both candidates, version 2 first, from the text of /proc/self/mountinfo and /proc/self/cgroup.
 * Whether they have their controllers and can be written is found out by trying.
 */
export function findCgroups(mountinfo: string, selfCgroup: string): readonly CgroupPlace[] {
  const mounts = parseMounts(mountinfo);
  const own = parseOwnGroups(selfCgroup);
  const places: CgroupPlace[] = [];
  const unified = mounts.find((mount) => mount.type === "cgroup2");
  const unifiedFolder = folderOf(unified, own.get(""));
  if (unifiedFolder !== undefined) {
    places.push({ version: 2, folders: new Map(controllers.map((name) => [name, unifiedFolder])) });
  }
  const folders = new Map<Controller, string>();
  for (const controller of controllers) {
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.has(controller));
    const folder = folderOf(mount, own.get(controller));
    if (folder !== undefined) folders.set(controller, folder);
  }
  if (folders.size > 0) places.push({ version: 1, folders });
  return places;
}

interface Mount {
  readonly type: string;
  /** The part of the hierarchy that is mounted here. */
  readonly root: string;
  readonly point: string;
  readonly options: ReadonlySet<string>;
}

function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [head = "", tail = ""] = line.split(" - ");
    const [, , , root, point] = head.split(" ");
    const [type, , options = ""] = tail.split(" ");
    if (root === undefined || point === undefined || type === undefined) return [];
    return [{ type, root, point: unescape(point), options: new Set(options.split(",")) }];
  });
}

/** From controller to path; version 2's has the empty name. */
function parseOwnGroups(selfCgroup: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of selfCgroup.split("\n")) {
    const [, names, ...path] = line.split(":");
    for (const name of names?.split(",") ?? []) groups.set(name, path.join(":"));
  }
  return groups;
}

function folderOf(mount: Mount | undefined, group: string | undefined): string | undefined {
  if (mount === undefined || group === undefined) return undefined;
  const below = posix.relative(mount.root, group);
  // In a container the mount may show another part of the tree than the one that we are in.
  return below.startsWith("..") ? undefined : posix.join(mount.point, below);
}

/** Spaces and backslashes are octal in mountinfo. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
