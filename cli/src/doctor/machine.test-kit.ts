// A machine as tests describe it: everything is as it should be, but for what the test says.
import type { Machine } from "./machine.ts";

export const kitNow = Date.parse("2026-11-21T12:00:00Z");

const programs: Readonly<Record<string, string>> = {
  git: "git version 2.39.5",
  bwrap: "bubblewrap 0.8.0",
};

const files: Readonly<Record<string, string>> = {
  "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw",
  "/proc/self/cgroup": "0::/",
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
};

export function healthyMachine(differences: Partial<Machine> = {}): Machine {
  return {
    nodeVersion: "26.10.0",
    platform: "linux",
    isRoot: false,
    now: () => kitNow,
    run: async (program) => {
      const text = programs[program];
      return text === undefined ? null : { ok: true, text };
    },
    readText: async (path) => files[path] ?? null,
    look: async () => ({ mode: 0o700, isDirectory: true }),
    list: async () => [],
    isWritable: async () => true,
    freeBytes: async () => 100 * 1024 ** 3,
    tryPort: async () => "",
    serverTime: async () => ({ serverMs: kitNow, localMs: kitNow + 300 }),
    greet: async () => 78,
    embeddedPostgres: async () => "/app/postgres",
    ...differences,
  };
}
