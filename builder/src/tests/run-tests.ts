// The test stage: the project's test command after its build, in the same sandbox and checkout, under
// the same limits; then what its reports say. Its exit code decides, the reports say which cases.
import type { TestReport, TestStage } from "@shoal/api/test-report";
import { ShoalError } from "@shoal/core/error";
import { testMessageCharsMax, testNameCharsMax, testReportFilesMax } from "@shoal/core/limits";
import { requireSuccess } from "../failure.ts";
import { inside } from "../sandbox/launch.ts";
import type { SecretMask } from "../secrets/mask.ts";
import type { Sandbox, SandboxRun } from "../sandbox/sandbox.ts";
import { findReports } from "./find-reports.ts";
import { readReports } from "./read-reports.ts";

export interface TestDeps {
  readonly sandbox: Sandbox;
  /** Names and messages of cases may have a secret in them. */
  readonly mask: Pick<SecretMask, "text">;
  /** Keeps the report with the build; tried until it is heard, or rejects. */
  readonly keep: (report: TestReport) => Promise<void>;
  readonly note: (text: string) => Promise<void>;
}

export interface TestInput extends Omit<SandboxRun, "command" | "proxyFolder"> {
  readonly test: TestStage;
}

/** Most failed cases that the build's failure names. */
const failuresNamed = 5;

/**
 * Runs the stage and keeps its report, whatever its end.
 * @throws ShoalError `tests_failed` with the cases, or with the limit that the command broke.
 */
export async function runTests(deps: TestDeps, input: TestInput): Promise<void> {
  const { test, ...run } = input;
  await deps.note(`Testing with ${test.command}`);
  const startMs = Date.now();
  const end = await deps.sandbox.run({ ...run, command: test.command, proxyFolder: null });
  // Whoever stops the build waits for nobody's reports.
  if (end.type === "stopped") return requireSuccess(end, run.limits, "test");
  const facts = {
    exitCode: end.type === "exited" ? end.exitCode : null,
    durationMs: Date.now() - startMs,
  };
  const { report: bare, failures } = await readStage(input, startMs, facts);
  const report = maskReport(bare, deps.mask);
  for (const { path, problem } of report.files) {
    if (problem !== null) await deps.note(`The report ${path} wasn't read: ${problem}`);
  }
  await deps.note(describe(report));
  await deps.keep(report);
  if (end.type !== "exited" || end.exitCode === 0) return requireSuccess(end, run.limits, "test");
  throw failed(end.exitCode, report, failures);
}

async function readStage(
  { test, folders }: TestInput,
  sinceMs: number,
  facts: Pick<TestReport, "exitCode" | "durationMs">,
): Promise<{ readonly report: TestReport; readonly failures: readonly string[] }> {
  const { source } = folders;
  let found: Awaited<ReturnType<typeof findReports>>;
  try {
    found = await findReports({ folder: source, patterns: test.reports, sinceMs });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    found = [{ path: ".", problem: error.message }];
  }
  const read = await readReports(source, found.slice(0, testReportFilesMax), [
    source,
    inside.source,
  ]);
  const report = {
    ...facts,
    ...read.cases.sum(),
    coverage: read.coverage.sum(),
    files: read.files,
  };
  return { report, failures: read.cases.failures(failuresNamed) };
}

/** The same report without secrets; what stands for one may be longer, and then the text is cut. */
function maskReport(report: TestReport, mask: TestDeps["mask"]): TestReport {
  const name = (text: string): string => mask.text(text).slice(0, testNameCharsMax);
  const words = (text: string | null): string | null =>
    text === null ? null : mask.text(text).slice(0, testMessageCharsMax);
  const { coverage } = report;
  return {
    ...report,
    cases: report.cases.map((one) => ({
      ...one,
      suite: name(one.suite),
      name: name(one.name),
      message: words(one.message),
    })),
    files: report.files.map((file) => ({
      ...file,
      path: name(file.path),
      problem: words(file.problem),
    })),
    coverage: coverage && {
      ...coverage,
      files: coverage.files.map((file) => ({ ...file, path: name(file.path) })),
    },
  };
}

function describe(report: TestReport): string {
  const { passed, failed: lost, errored, skipped, coverage, casesTotal } = report;
  const cases =
    casesTotal === 0
      ? "The tests left no report of cases"
      : `Tests: ${passed} passed, ${lost} failed, ${errored} with errors, ${skipped} skipped`;
  if (coverage === null) return cases;
  return `${cases}; ${coverage.linesHit} of ${coverage.lines} lines covered`;
}

function failed(exitCode: number, report: TestReport, failures: readonly string[]): ShoalError {
  const bad = report.failed + report.errored;
  const more = bad > failures.length ? ` and ${bad - failures.length} more` : "";
  const named = failures.length === 0 ? "" : ` Failed: ${failures.join("; ")}${more}.`;
  const message = `The tests exited with code ${exitCode}.${named}`;
  return new ShoalError("tests_failed", message, { blame: "remote" });
}
