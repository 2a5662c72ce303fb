// One file of the repository as the rules see it: its path, its size, its text, and what the parser
// makes of it. Reads nothing itself (repository.ts does), so that a rule's test can give it a bad
// example as a string.
import { type ParseResult, parseSync, Visitor, type VisitorObject } from "oxc-parser";

/** What an import names, and where. */
export interface ImportedModule {
  readonly specifier: string;
  readonly line: number;
}

export class TrackedFile {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  readonly byteCount: number;
  /** undefined when the file is binary. */
  readonly text: string | undefined;
  #parsed: ParseResult | undefined;

  constructor(path: string, bytes: Uint8Array) {
    this.path = path;
    this.byteCount = bytes.length;
    this.text = bytes.subarray(0, 8192).includes(0) ? undefined : new TextDecoder().decode(bytes);
  }

  static ofText(path: string, text: string): TrackedFile {
    return new TrackedFile(path, new TextEncoder().encode(text));
  }

  get lines(): readonly string[] {
    const lines = (this.text ?? "").split("\n");
    return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  }

  /** The line of an offset, counted from 1. */
  lineOf(offset: number): number {
    return (this.text ?? "").slice(0, offset).split("\n").length;
  }

  /** Everything the file imports: statically, by `import()`, in a type, or to export it again. */
  imports(): readonly ImportedModule[] {
    const parsed = this.#parse();
    const found: { value: string; start: number }[] = parsed.module.staticImports.map(
      (one) => one.moduleRequest,
    );
    for (const { entries } of parsed.module.staticExports) {
      for (const entry of entries)
        if (entry.moduleRequest !== null) found.push(entry.moduleRequest);
    }
    this.visit({
      ImportExpression: ({ source }) => {
        if (source.type === "Literal")
          found.push({ value: String(source.value), start: source.start });
      },
      TSImportType: ({ source }) => {
        found.push(source);
      },
    });
    return found.map(({ value, start }) => ({ specifier: value, line: this.lineOf(start) }));
  }

  /** Calls the visitor for each node of the syntax tree. */
  visit(visitor: VisitorObject): void {
    new Visitor(visitor).visit(this.#parse().program);
  }

  #parse(): ParseResult {
    this.#parsed ??= parseSync(this.path, this.text ?? "");
    const problem = this.#parsed.errors[0];
    if (problem !== undefined) throw new Error(`${this.path}: can't be parsed: ${problem.message}`);
    return this.#parsed;
  }
}

/** Whether the path is TypeScript that people wrote: neither a fixture nor an example. */
export function isSource(path: string): boolean {
  return path.endsWith(".ts") && !/(^|\/)(fixtures|examples)\//.test(path);
}

/** Whether the path only serves tests. */
export function isTest(path: string): boolean {
  return /\.(test|suite|test-kit)\.ts$/.test(path) || path.startsWith("test/");
}
