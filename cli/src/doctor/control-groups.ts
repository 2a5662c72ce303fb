// Whether builds and services can be limited as a whole, by a control group. Without one builds are limited
// process by process, and services that have limits aren't started.
import { fine, warning, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

const check = "control groups";
const wanted = ["memory", "pids", "cpu"];

export async function checkControlGroups(
  machine: Pick<Machine, "readText" | "isWritable">,
): Promise<Finding> {
  const mounts = (await machine.readText("/proc/self/mountinfo")) ?? "";
  const groups = parseGroups((await machine.readText("/proc/self/cgroup")) ?? "");
  const reasons: string[] = [];
  for (const { version, point, controllers } of findMounts(mounts)) {
    const own = version === 2 ? groups.get("") : groups.get("memory");
    const folder = `${point}${own === undefined || own === "/" ? "" : own}`;
    const there = await machine.isWritable(folder);
    // In a container the mount may begin at our own group: then the path of /proc isn't below it.
    const writable = there ? folder : (await machine.isWritable(point)) ? point : null;
    const missing = wanted.filter((name) => !controllers.includes(name));
    if (version === 2) {
      const have = (await machine.readText(`${writable ?? point}/cgroup.controllers`)) ?? "";
      missing.splice(0, missing.length, ...wanted.filter((name) => !have.includes(name)));
    }
    if (writable === null) reasons.push(`version ${version} can't be written`);
    else if (missing.length > 0) reasons.push(`version ${version} lacks ${missing.join(", ")}`);
    else return fine(check, `version ${version}, writable`);
  }
  const why = reasons.length === 0 ? "this machine has none" : reasons.join("; ");
  return warning(
    check,
    `builds are limited process by process only, services with limits aren't started: ${why}`,
    "run builder and agent as root, or as systemd units with Delegate=yes",
  );
}

interface GroupMount {
  readonly version: 1 | 2;
  readonly point: string;
  readonly controllers: readonly string[];
}

/** Version 2 first; of version 1 the mount with the memory controller stands for all of them. */
function findMounts(mountinfo: string): readonly GroupMount[] {
  const found = mountinfo.split("\n").flatMap((line): GroupMount[] => {
    const [head = "", tail = ""] = line.split(" - ");
    const point = head.split(" ")[4];
    const [type, , options = ""] = tail.split(" ");
    if (point === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    return [{ version: type === "cgroup2" ? 2 : 1, point, controllers: options.split(",") }];
  });
  const second = found.filter(({ version }) => version === 2).slice(0, 1);
  const first = found.filter(({ version }) => version === 1);
  const memory = first.find(({ controllers }) => controllers.includes("memory"));
  if (memory === undefined) return second;
  return [...second, { ...memory, controllers: first.flatMap(({ controllers }) => controllers) }];
}

/** From controller to the group that we are in; version 2's has the empty name. */
function parseGroups(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, names, ...path] = line.split(":");
    for (const name of names?.split(",") ?? []) groups.set(name, path.join(":"));
  }
  return groups;
}
