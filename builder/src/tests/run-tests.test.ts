// The test stage with real processes, without isolation, which has tests of its own.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestReport } from "@shoal/api/test-report";
import { createLog } from "@shoal/daemon/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPlain } from "../sandbox/plain.ts";
import { SecretMask } from "../secrets/mask.ts";
import { fillToolbox } from "../sandbox/toolbox.ts";
import { runTests } from "./run-tests.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "shoal-tests-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command as the test stage of a checkout; answers what was kept and noted. */
async function stage(command: string, reports: string[] = []) {
  const workspace = join(folder, "workspace");
  const path = (name: string): string => join(workspace, name);
  const folders = {
    source: path("source"),
    temporary: path("tmp"),
    home: path("home"),
    secrets: path("secrets"),
  };
  for (const made of Object.values(folders)) mkdirSync(made, { recursive: true });
  const searchPath = process.env["PATH"] ?? "/usr/bin:/bin";
  const scope = `teststage-${process.pid}`;
  const toolbox = join(folder, "tools");
  await fillToolbox(toolbox, process.execPath);
  const deps = { log: createLog("test", "silent"), limiter: null, scope, searchPath, uid: null };
  const sandbox = createPlain(deps, { toolbox });
  const mask = new SecretMask();
  mask.set("token", "hunter2hunter2");
  const notes: string[] = [];
  const kept: TestReport[] = [];
  const keep = async (report: TestReport): Promise<void> => void kept.push(report);
  const note = async (text: string): Promise<void> => void notes.push(text);
  const failure = await runTests(
    { sandbox, mask, keep, note },
    {
      ...{ id: "1-test", workspace, folders, environment: { SHOAL_BUILD: "1" } },
      limits: {
        memoryBytesMax: 512 * 1024 ** 2,
        cpuPercentMax: 200,
        processesMax: 64,
        timeoutMs: 20_000,
        diskBytesMax: 64 * 1024 ** 2,
      },
      onOutput: async () => undefined,
      signal: new AbortController().signal,
      test: { command, reports },
    },
  ).then(
    () => null,
    (error: unknown) => error,
  );
  return { failure, report: kept[0], notes };
}

test("keeps what a stage that passes left", async () => {
  const xml = '<testsuite name="s"><testcase name="ok"/></testsuite>';
  const { failure, report, notes } = await stage(`echo '${xml}' > junit.xml`);
  expect(failure).toBeNull();
  expect(report).toMatchObject({ exitCode: 0, passed: 1, casesTotal: 1, coverage: null });
  expect(notes.at(-1)).toBe("Tests: 1 passed, 0 failed, 0 with errors, 0 skipped");
});

test("fails with the cases that failed, and keeps the report without secrets", async () => {
  const failed = '<failure message="said hunter2hunter2"/>';
  const xml = `<testsuite name="s"><testcase name="bad">${failed}</testcase></testsuite>`;
  const { failure, report } = await stage(`echo '${xml}' > results.xml; exit 3`, ["results.xml"]);
  expect(failure).toMatchObject({
    code: "tests_failed",
    message: "The tests exited with code 3. Failed: s › bad.",
  });
  expect(report).toMatchObject({ exitCode: 3, failed: 1 });
  expect(JSON.stringify(report)).not.toContain("hunter2");
});

test("lets the exit code decide, and says which report it couldn't read", async () => {
  const { failure, report, notes } = await stage("echo '<html/>' > junit.xml");
  expect(failure).toBeNull();
  expect(report).toMatchObject({ casesTotal: 0, files: [{ path: "junit.xml", format: null }] });
  expect(notes.join()).toContain("The report junit.xml wasn't read");
});
