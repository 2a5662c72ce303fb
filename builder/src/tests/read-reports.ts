// Reads report files, each by what it is: JUnit, Cobertura or lcov. One that can't be read is named,
// and what it said before counts: whether the tests passed, their exit code has said.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { TestReport } from "@shoal/api/test-report";
import { ShoalError } from "@shoal/core/error";
import { testMessageCharsMax, testNameCharsMax } from "@shoal/core/limits";
import { TestCases, clean } from "./cases.ts";
import { CoberturaReader } from "./cobertura.ts";
import { CoverageSum } from "./coverage.ts";
import type { FoundReport } from "./find-reports.ts";
import { JunitReader } from "./junit.ts";
import { LcovReader } from "./lcov.ts";
import { type XmlReader, invalid, openXml } from "./xml.ts";

type Format = NonNullable<TestReport["files"][number]["format"]>;

export interface ReportsRead {
  readonly cases: TestCases;
  readonly coverage: CoverageSum;
  readonly files: TestReport["files"];
}

/** `roots`: how report files may call the checkout. */
export async function readReports(
  folder: string,
  found: readonly FoundReport[],
  roots: readonly string[],
): Promise<ReportsRead> {
  const cases = new TestCases();
  const coverage = new CoverageSum(roots);
  const files: TestReport["files"] = [];
  for (const report of found) {
    let { problem } = report;
    const reader = new ReportReader(cases, coverage, report.path);
    try {
      if (problem === null) await readFile(join(folder, report.path), reader);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      problem = error.message;
    }
    files.push({
      path: clean(report.path, testNameCharsMax),
      format: reader.format,
      problem: problem === null ? null : clean(problem, testMessageCharsMax),
    });
  }
  return { cases, coverage, files };
}

interface Sink {
  write(text: string): void;
  end(): void;
}

/** Reads in portions, so that heartbeats go on between them. */
async function readFile(path: string, sink: Sink): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes: Uint8Array | undefined): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw invalid("it isn't UTF-8");
    }
  };
  const stream = file.createReadStream({ highWaterMark: 65_536 });
  for await (const bytes of stream as AsyncIterable<Buffer>) sink.write(decode(bytes));
  sink.write(decode(undefined));
  sink.end();
}

/** One report: what it is shows at its first element, or first line. */
class ReportReader implements Sink, XmlReader {
  format: Format | null = null;
  readonly #cases: TestCases;
  readonly #coverage: CoverageSum;
  readonly #sink: Sink;
  #inner: XmlReader | null = null;

  constructor(cases: TestCases, coverage: CoverageSum, path: string) {
    this.#cases = cases;
    this.#coverage = coverage;
    const xml = path.toLowerCase().endsWith(".xml");
    if (!xml) this.format = "lcov";
    this.#sink = xml ? openXml(this) : new LcovReader(coverage);
  }

  write(text: string): void {
    this.#sink.write(text);
  }

  end(): void {
    this.#sink.end();
  }

  open(name: string, attributes: Readonly<Record<string, string>>, above: readonly string[]): void {
    this.#inner ??= this.#readerOf(name);
    this.#inner.open(name, attributes, above);
  }

  text(text: string): void {
    this.#inner?.text(text);
  }

  close(name: string): void {
    this.#inner?.close(name);
  }

  #readerOf(root: string): XmlReader {
    if (root === "testsuites" || root === "testsuite") {
      this.format = "junit";
      return new JunitReader(this.#cases);
    }
    if (root === "coverage") {
      this.format = "cobertura";
      return new CoberturaReader(this.#coverage);
    }
    throw invalid(`its root element ${root.slice(0, 100)} is of no report that is known`);
  }
}
