// Cobertura's XML: classes with lines, of which only those of the class itself count, because its
// methods name the same ones again.
import { type CoverageSum, wholeNumber } from "./coverage.ts";
import type { XmlReader } from "./xml.ts";

export class CoberturaReader implements XmlReader {
  readonly #sum: CoverageSum;
  #file: string | null = null;

  constructor(sum: CoverageSum) {
    this.#sum = sum;
  }

  open(name: string, attributes: Readonly<Record<string, string>>, above: readonly string[]): void {
    if (name === "class") this.#file = attributes["filename"] ?? null;
    if (name !== "line" || above.at(-1) !== "lines" || above.at(-2) !== "class") return;
    const line = wholeNumber(attributes["number"]);
    const hits = wholeNumber(attributes["hits"]);
    if (this.#file === null || line === null || hits === null) return;
    this.#sum.line(this.#file, line, hits > 0);
    const branches = /\(([0-9]{1,9})\/([0-9]{1,9})\)/.exec(attributes["condition-coverage"] ?? "");
    if (branches === null) return;
    this.#sum.branches(this.#file, `${line}`, Number(branches[2]), Number(branches[1]));
  }

  text(): void {}

  close(name: string): void {
    if (name === "class") this.#file = null;
  }
}
