// The last line of a test run, alone on its line, for people and for CI: `12 passed, 0 failed`, with
// `, 3 skipped` only when there are any. It also fails a run that saw too little: a project whose
// files moved away would otherwise pass for ever. Invariant: `0 failed` and at least one passed
// exactly when the exit status is 0.
import type { Reporter, TestModule, Vitest } from "vitest/node";

/** What one test came to, and the project it belongs to. */
export interface Outcome {
  readonly project: string;
  readonly state: "passed" | "failed" | "skipped" | "pending";
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The last line. */
export function totalsLine(totals: Totals): string {
  const line = `${totals.passed} passed, ${totals.failed} failed`;
  return totals.skipped === 0 ? line : `${line}, ${totals.skipped} skipped`;
}

/** The projects in which no test passed or failed, each of them a check that checks nothing. */
export function silentProjects(
  projects: readonly string[],
  outcomes: readonly Outcome[],
): readonly string[] {
  const ran = outcomes.filter(({ state }) => state === "passed" || state === "failed");
  return projects.filter((project) => !ran.some((outcome) => outcome.project === project));
}

/** Adds up; a test that never ended, and each error outside of any test, count as failed. */
export function addUp(outcomes: readonly Outcome[], errorCount: number): Totals {
  const count = (state: Outcome["state"]): number =>
    outcomes.filter((outcome) => outcome.state === state).length;
  return {
    passed: count("passed"),
    failed: count("failed") + count("pending") + errorCount,
    skipped: count("skipped"),
  };
}

/** Vitest's reporter for the above. `isWhole`: nobody narrowed the run, so each project must speak. */
export class TotalsReporter implements Reporter {
  readonly #isWhole: boolean;
  #vitest: Vitest | undefined;

  constructor(config: { readonly isWhole: boolean }) {
    this.#isWhole = config.isWhole;
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const outcomes = modules.flatMap((module) =>
      Array.from(module.children.allTests(), (test) => ({
        project: module.project.name,
        state: test.result().state,
      })),
    );
    const projects = this.#isWhole ? (this.#vitest?.projects ?? []) : [];
    const silent = silentProjects(
      projects.map((project) => project.name),
      outcomes,
    );
    for (const project of silent) console.error(`no test ran in project ${project}`);
    const loadErrorCount = modules.flatMap((module) => module.errors()).length;
    const totals = addUp(outcomes, loadErrorCount + unhandledErrors.length + silent.length);
    if (totals.failed > 0 || totals.passed === 0) process.exitCode = 1;
    console.log(totalsLine(totals));
  }
}
