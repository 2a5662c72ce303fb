// lcov's tracefiles: a record for each source file, a line of text for each fact.
import { type CoverageSum, wholeNumber } from "./coverage.ts";
import { invalid } from "./xml.ts";

/** Longest line of a tracefile. */
const lineCharsMax = 8192;

export class LcovReader {
  readonly #sum: CoverageSum;
  #file: string | null = null;
  #rest = "";
  #records = 0;

  constructor(sum: CoverageSum) {
    this.#sum = sum;
  }

  /** Throws `report_invalid`. */
  write(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > lineCharsMax) throw invalid("a line of it is too long");
    for (const line of lines) this.#line(line.trimEnd());
  }

  end(): void {
    this.#line(this.#rest.trimEnd());
    if (this.#records === 0) throw invalid("it has no record of a source file");
    if (this.#file !== null) throw invalid("it ends within a record");
  }

  #line(line: string): void {
    const colon = line.indexOf(":");
    const kind = colon === -1 ? line : line.slice(0, colon);
    const value = line.slice(colon + 1);
    if (kind === "SF") {
      this.#file = value;
      this.#records += 1;
    }
    if (kind === "end_of_record") this.#file = null;
    if (kind === "DA") this.#executed(value.split(","));
    if (kind === "BRDA") this.#branch(value.split(","));
  }

  #executed([line, hits]: readonly string[]): void {
    const number = wholeNumber(line);
    const count = wholeNumber(hits);
    if (this.#file === null || number === null || count === null)
      throw invalid("it has a DA line that isn't one");
    this.#sum.line(this.#file, number, count > 0);
  }

  #branch([line, block, branch, taken]: readonly string[]): void {
    if (this.#file === null || wholeNumber(line) === null || taken === undefined)
      throw invalid("it has a BRDA line that isn't one");
    const hit = taken !== "-" && taken !== "0";
    this.#sum.branches(this.#file, `${line},${block},${branch}`, 1, hit ? 1 : 0);
  }
}
