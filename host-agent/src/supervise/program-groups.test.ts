import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProgramLimits } from "@shoal/core/rollout/release";
import { mebibyte } from "@shoal/core/units";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { testFolder } from "../test-folder.test-kit.ts";
import { programGroups, settingsOf } from "./program-groups.ts";
import { startProgram } from "./program.ts";

const none: ProgramLimits = { memoryBytesMax: null, cpuPercentMax: null, processesMax: null };
const groups = programGroups(`test-${process.pid}`);
afterAll(() => groups.close());
/** Where no group can be written, that is what is tested: nothing with limits is started. */
const canLimit = await groups.make("probe", { ...none, processesMax: 9 }).then(
  () => true,
  () => false,
);
await groups.drop("probe");

async function run(limits: ProgramLimits, script: string): Promise<{ how: string; log: string }> {
  const folder = await testFolder();
  const mark = randomUUID();
  const logFile = join(folder, "log", "program.log");
  const program = await startProgram({
    command: ["/bin/sh", "-c", script],
    directory: folder,
    environment: { PATH: "/usr/bin:/bin" },
    logFile,
    mark,
    user: null,
    memoryBytesMax: null,
    group: await groups.make(mark, limits),
  });
  onTestFinished(async () => {
    await program.stop(0);
    await groups.drop(mark);
  });
  return { how: await program.exited, log: await readFile(logFile, "utf8") };
}

test("writes what each version of control groups calls the limits, and nothing for what has none", () => {
  const limits = { memoryBytesMax: 1000, cpuPercentMax: 50, processesMax: 7 };
  const written = (version: 1 | 2): readonly string[] =>
    settingsOf(version, limits).map(({ file, value }) => `${file}=${value}`);
  expect(written(1)).toEqual([
    "memory.limit_in_bytes=1000",
    "memory.memsw.limit_in_bytes=1000",
    "pids.max=7",
    "cpu.cfs_period_us=100000",
    "cpu.cfs_quota_us=50000",
  ]);
  expect(written(2)).toEqual([
    "memory.max=1000",
    "memory.swap.max=0",
    "memory.oom.group=1",
    "pids.max=7",
    "cpu.max=50000 100000",
  ]);
  expect(settingsOf(2, none)).toEqual([]);
});

test.runIf(canLimit)("a program that wants more memory than it may is killed", async () => {
  const limits = { ...none, memoryBytesMax: 64 * mebibyte };
  // It looks for a line's end in vain, and is small itself: of a large program the system drops the code again and
  // again, where that was in no other group's memory, and takes its time before it kills.
  expect((await run(limits, "exec tail /dev/zero")).how).toBe("ended by SIGKILL");
});

test.runIf(canLimit)(
  "a program can't have more processes than it may, from the first on",
  async () => {
    const limits = { ...none, processesMax: 4 };
    const { log } = await run(limits, "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo all");
    expect(log).toMatch(/fork|unavailable|Resource/i);
  },
);

test.runIf(canLimit)("a program is in its group before it does anything", async () => {
  const { log } = await run({ ...none, cpuPercentMax: 10 }, "cat /proc/self/cgroup");
  expect(log).toContain(`/shoal-agent-test-${process.pid}/`);
});

test.skipIf(canLimit)("where nothing can be limited, it is said why", async () => {
  await expect(groups.make("x", { ...none, processesMax: 1 })).rejects.toMatchObject({
    code: "limits_unavailable",
  });
});
