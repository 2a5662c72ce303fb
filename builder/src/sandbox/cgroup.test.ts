// Where groups are found and what is written into them; sandbox.test.ts shows that it limits, on
// machines that have control groups to write.
import { expect, test } from "vitest";
import { cgroupSettings } from "./cgroup.ts";
import { findCgroups } from "@shoal/daemon/cgroup-place";
import { firstProcessors } from "./rlimits.ts";

const limits = {
  memoryBytesMax: 1000,
  cpuPercentMax: 150,
  processesMax: 7,
  timeoutMs: 1000,
  diskBytesMax: 1000,
};

function values(version: 1 | 2): Record<string, string> {
  return Object.fromEntries(
    cgroupSettings(version, limits).map(({ file, value }) => [file, value]),
  );
}

test("finds the group of a systemd service on a machine with version 2", () => {
  const mountinfo = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
  const [place, ...others] = findCgroups(mountinfo, "0::/system.slice/shoal.service\n");
  expect(others).toEqual([]);
  expect(place?.version).toBe(2);
  expect(place?.folders.get("memory")).toBe("/sys/fs/cgroup/system.slice/shoal.service");
});

test("finds each controller's group on a machine with version 1, also when two share a mount", () => {
  const mountinfo = [
    "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "32 24 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
  ].join("\n");
  const own = "4:memory:/a/b\n3:cpu,cpuacct:/c\n2:pids:/\n";
  const [place] = findCgroups(mountinfo, own);
  expect(place).toEqual({
    version: 1,
    folders: new Map([
      ["memory", "/sys/fs/cgroup/memory/a/b"],
      ["pids", "/sys/fs/cgroup/pids"],
      ["cpu", "/sys/fs/cgroup/cpu,cpuacct/c"],
    ]),
  });
});

test("offers version 2 before version 1 on a machine with both", () => {
  const mountinfo = [
    "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
  ].join("\n");
  const places = findCgroups(mountinfo, "4:memory:/\n0::/\n");
  expect(places.map(({ version }) => version)).toEqual([2, 1]);
});

test("takes the part of the tree that a container sees", () => {
  const mountinfo = "35 24 0:30 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
  const [inside] = findCgroups(mountinfo, "0::/docker/abc/job\n");
  expect(inside?.folders.get("pids")).toBe("/sys/fs/cgroup/job");
  expect(findCgroups(mountinfo, "0::/elsewhere\n")).toEqual([]);
});

test("finds nothing where there is nothing, and reads escaped paths", () => {
  expect(findCgroups("", "")).toEqual([]);
  const odd = "35 24 0:30 / /mnt/a\\040b rw - cgroup2 cgroup rw\n";
  expect(findCgroups(odd, "0::/\n")[0]?.folders.get("cpu")).toBe("/mnt/a b");
});

test("writes the same limits in both versions' words", () => {
  expect(values(2)).toEqual({
    "memory.max": "1000",
    "memory.swap.max": "0",
    "memory.oom.group": "1",
    "pids.max": "7",
    "cpu.max": "150000 100000",
  });
  expect(values(1)).toEqual({
    "memory.limit_in_bytes": "1000",
    "memory.memsw.limit_in_bytes": "1000",
    "pids.max": "7",
    "cpu.cfs_period_us": "100000",
    "cpu.cfs_quota_us": "150000",
  });
});

test.for([
  ["0-3", 2, "0,1"],
  ["0-3,8,10-11", 6, "0,1,2,3,8,10"],
  ["0-3", 4, null],
  ["2", 8, null],
  ["", 1, null],
] as const)("of processors %j takes the first %i", ([allowed, count, expected]) => {
  expect(firstProcessors(allowed, count)).toBe(expected);
});
