// Adds up test cases: all are counted, the first ones are kept, those that failed before others.
import type { TestCase, TestReport } from "@shoal/api/test-report";
import {
  testCasesKeptMax,
  testMessageCharsMax,
  testNameCharsMax,
  testReportBytesMax,
} from "@shoal/core/limits";

/** JSON around a case's texts, and room for their escapes. */
const caseBytes = 120;

export class TestCases {
  readonly #counts = { passed: 0, failed: 0, errored: 0, skipped: 0 };
  readonly #bad: TestCase[] = [];
  readonly #good: TestCase[] = [];

  /** Texts may be of any length. */
  add(found: TestCase): void {
    this.#counts[found.state] += 1;
    const list = found.state === "failed" || found.state === "errored" ? this.#bad : this.#good;
    if (list.length >= testCasesKeptMax) return;
    const message = found.message === null ? null : clean(found.message, testMessageCharsMax);
    const suite = clean(found.suite, testNameCharsMax);
    list.push({ ...found, suite, name: clean(found.name, testNameCharsMax), message });
  }

  /** Names of the first cases that failed. */
  failures(max: number): string[] {
    return this.#bad
      .slice(0, max)
      .map(({ suite, name }) => (suite === "" ? name : `${suite} › ${name}`));
  }

  sum(): Pick<TestReport, "passed" | "failed" | "errored" | "skipped" | "cases" | "casesTotal"> {
    const { passed, failed, errored, skipped } = this.#counts;
    // Half of a report is for cases; the rest has room for coverage and names of files.
    let bytesLeft = testReportBytesMax / 2;
    const cases: TestCase[] = [];
    for (const next of [...this.#bad, ...this.#good].slice(0, testCasesKeptMax)) {
      bytesLeft -= caseBytes + Buffer.byteLength(JSON.stringify(next));
      if (bytesLeft < 0) break;
      cases.push(next);
    }
    const casesTotal = passed + failed + errored + skipped;
    return { passed, failed, errored, skipped, cases, casesTotal };
  }
}

/** Without what a terminal or a database would choke on, and not longer than `charsMax`. */
export function clean(text: string, charsMax: number): string {
  return text
    .slice(0, charsMax)
    .toWellFormed()
    .replace(/[^\P{Cc}\n\t]/gu, " ");
}
