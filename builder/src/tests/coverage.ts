// Adds up coverage of lines and branches over reports: a line counts once however often it is named,
// and is covered when any of them says so.
import type { Coverage } from "@shoal/api/test-report";
import { coverageFilesKeptMax, coverageLinesMax, testNameCharsMax } from "@shoal/core/limits";
import { clean } from "./cases.ts";
import { invalid } from "./xml.ts";

interface FileSum {
  readonly lines: Map<number, boolean>;
  /** By a name that is the same in every report of the kind. */
  readonly branches: Map<string, { readonly found: number; readonly hit: number }>;
}

export class CoverageSum {
  readonly #files = new Map<string, FileSum>();
  readonly #roots: readonly string[];
  #size = 0;

  /** Paths below one of `roots` are shown without it. */
  constructor(roots: readonly string[]) {
    this.#roots = roots.map((root) => (root.endsWith("/") ? root : `${root}/`));
  }

  line(path: string, line: number, hit: boolean): void {
    const { lines } = this.#file(path);
    const before = lines.get(line);
    if (before === undefined) this.#grow();
    if (before !== true) lines.set(line, hit);
  }

  /** `found` branches under one name, of which `hit` were taken. */
  branches(path: string, key: string, found: number, hit: number): void {
    const { branches } = this.#file(path);
    const before = branches.get(key);
    if (before === undefined) this.#grow();
    branches.set(key, {
      found: Math.max(found, before?.found ?? 0),
      hit: Math.max(Math.min(hit, found), before?.hit ?? 0),
    });
  }

  /** Null when no report told of any file. */
  sum(): Coverage | null {
    if (this.#files.size === 0) return null;
    const total = { lines: 0, linesHit: 0, branches: 0, branchesHit: 0 };
    const files: { path: string; lines: number; linesHit: number }[] = [];
    for (const [path, file] of this.#files) {
      const linesHit = [...file.lines.values()].filter(Boolean).length;
      total.lines += file.lines.size;
      total.linesHit += linesHit;
      for (const { found, hit } of file.branches.values()) {
        total.branches += found;
        total.branchesHit += hit;
      }
      files.push({ path, lines: file.lines.size, linesHit });
    }
    const missed = (file: { lines: number; linesHit: number }): number =>
      file.lines === 0 ? 0 : 1 - file.linesHit / file.lines;
    files.sort((a, b) => missed(b) - missed(a) || (a.path < b.path ? -1 : 1));
    return { ...total, files: files.slice(0, coverageFilesKeptMax), filesTotal: files.length };
  }

  #file(path: string): FileSum {
    const root = this.#roots.find((one) => path.startsWith(one)) ?? "";
    const name = clean(path.slice(root.length), testNameCharsMax);
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    this.#grow();
    const file = { lines: new Map(), branches: new Map() };
    this.#files.set(name, file);
    return file;
  }

  #grow(): void {
    this.#size += 1;
    if (this.#size > coverageLinesMax) throw invalid("it has too many lines and branches");
  }
}

/** A number as reports write it; null for anything else. */
export function wholeNumber(text: string | undefined): number | null {
  const value = Number(text);
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? value : null;
}
