// What a step of `npm run check` is. Invariant: a step passes only when its tool found nothing wrong
// and says that it looked at no fewer files than git knows of: a tool that looks at nothing finds
// nothing wrong either.
export interface StepResult {
  /** How many files the tool says it looked at. */
  readonly filesSeen: number;
  /** How many it must have looked at, at least. */
  readonly filesExpected: number;
  /** What is wrong, for people to read; empty when nothing is. */
  readonly problems: string;
}

export interface Step {
  readonly name: string;
  /** `paths`: every file of the repository. */
  readonly run: (paths: readonly string[]) => Promise<StepResult>;
}

/** Whether the step passed, and the one line that says so. */
export function judge(name: string, result: StepResult): { passed: boolean; line: string } {
  const expected = Math.max(result.filesExpected, 1);
  const sawEnough = result.filesSeen >= expected;
  const passed = sawEnough && result.problems === "";
  const verdict = sawEnough ? (passed ? "ok" : "FAILED") : `FAILED: ${expected} were expected`;
  return { passed, line: `${name}: ${result.filesSeen} files, ${verdict}` };
}

/** The number that a tool printed, by a pattern with one group; 0 when it printed none. */
export function numberIn(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0);
}
