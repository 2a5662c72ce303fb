// What test stages left, as text for a person.
import type { BuildTests, TestCase, TestReport } from "@shoal/api/test-report";
import { renderTable } from "../table.ts";
import { formatDuration } from "../units.ts";

/** Files of the least coverage that are shown. */
const filesShown = 10;

/** Of every attempt that had a test stage; `all`: also the cases that passed. */
export function describeTests(attempts: readonly BuildTests[], all: boolean): string {
  if (attempts.length === 0) return "The build has no test report.";
  return attempts
    .map(({ attempt, report }) => `attempt ${attempt}\n${describeReport(report, all)}`)
    .join("\n\n");
}

function describeReport(report: TestReport, all: boolean): string {
  const { passed, failed, errored, skipped, cases, casesTotal, coverage } = report;
  const code = report.exitCode === null ? "was ended" : `exited with code ${report.exitCode}`;
  const lines = [
    `tests     ${code} after ${formatDuration(report.durationMs)}`,
    `cases     ${passed} passed, ${failed} failed, ${errored} with errors, ${skipped} skipped`,
  ];
  if (coverage !== null) {
    const branches =
      coverage.branches === 0 ? "" : `, branches ${share(coverage.branchesHit, coverage.branches)}`;
    lines.push(`coverage  lines ${share(coverage.linesHit, coverage.lines)}${branches}`);
  }
  for (const { path, problem } of report.files) {
    if (problem !== null) lines.push(`not read  ${path}: ${problem}`);
  }
  const shown = cases.filter(({ state }) => all || state === "failed" || state === "errored");
  if (shown.length > 0)
    lines.push("", renderTable(["case", "state", "time", "message"], shown.map(row)));
  if (all && cases.length < casesTotal) lines.push(`${casesTotal - cases.length} more aren't kept`);
  if (all && coverage !== null && coverage.files.length > 0) {
    const files = coverage.files.slice(0, filesShown);
    const rows = files.map((file) => [file.path, share(file.linesHit, file.lines)]);
    lines.push("", renderTable(["file", "lines covered"], rows));
  }
  return lines.join("\n");
}

function row({ suite, name, state, durationMs, message }: TestCase): string[] {
  const time = durationMs === null ? "" : formatDuration(durationMs);
  const first = (message ?? "").split("\n", 1)[0] ?? "";
  return [suite === "" ? name : `${suite} › ${name}`, state, time, first.slice(0, 100)];
}

function share(hit: number, of: number): string {
  return of === 0 ? "none" : `${hit} of ${of} (${((100 * hit) / of).toFixed(1)} %)`;
}
