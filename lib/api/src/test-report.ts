// What a build's test stage left: cases and coverage, as the builder read them out of report files.
import {
  coverageFilesKeptMax,
  testCasesKeptMax,
  testMessageCharsMax,
  testNameCharsMax,
  testReportFilesMax,
  testReportPatternsMax,
} from "@shoal/core/limits";
import { z } from "zod";
import { count, instant, millis } from "./names.ts";

const reportName = z.string().max(testNameCharsMax);

/** Runs after the build, in the same sandbox and checkout, before anything is published. */
export const testStage = z.strictObject({
  /** Run by `sh -c` in the checkout; its exit code says whether the tests passed. */
  command: z.string().min(1).max(16_384),
  /** Glob patterns of the files it leaves, relative to the checkout. Empty: the usual names. */
  reports: z.array(z.string().min(1).max(1024)).max(testReportPatternsMax).default([]),
});

export const testCaseState = z.enum(["passed", "failed", "errored", "skipped"]);
export const testCase = z.strictObject({
  suite: reportName,
  name: reportName,
  state: testCaseState,
  durationMs: z.number().nonnegative().nullable(),
  /** Of a failure, an error, or why it was skipped; shortened. */
  message: z.string().max(testMessageCharsMax).nullable(),
});

export const coverageFile = z.strictObject({
  path: reportName,
  lines: count,
  linesHit: count,
});
export const coverage = z.strictObject({
  lines: count,
  linesHit: count,
  branches: count,
  branchesHit: count,
  /** The least covered first; `filesTotal` counts all. */
  files: z.array(coverageFile).max(coverageFilesKeptMax),
  filesTotal: count,
});

export const testReport = z.strictObject({
  /** Null: a signal or a limit ended the command. */
  exitCode: z.int().nullable(),
  durationMs: millis,
  /** Of all cases, also of those that aren't kept. */
  passed: count,
  failed: count,
  errored: count,
  skipped: count,
  /** Those that failed first, then in the order of the reports. */
  cases: z.array(testCase).max(testCasesKeptMax),
  casesTotal: count,
  coverage: coverage.nullable(),
  /** The files it was read from, and why one couldn't be. */
  files: z
    .array(
      z.strictObject({
        path: reportName,
        format: z.enum(["junit", "cobertura", "lcov"]).nullable(),
        problem: z.string().max(testMessageCharsMax).nullable(),
      }),
    )
    .max(testReportFilesMax),
});

/** What is kept with a build, by attempt. */
export const buildTests = z.strictObject({
  attempt: count,
  reportedAt: instant,
  report: testReport,
});

export type TestStage = z.infer<typeof testStage>;
export type TestCase = z.infer<typeof testCase>;
export type TestReport = z.infer<typeof testReport>;
export type Coverage = z.infer<typeof coverage>;
export type BuildTests = z.infer<typeof buildTests>;
