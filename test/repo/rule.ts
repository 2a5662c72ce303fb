// What a rule of the house is: a name, the files it reads, and a pure function that finds what breaks
// it. Invariant: a rule that was given no file has not passed, it has not run.
import type { TrackedFile } from "./tracked-file.ts";

export interface Finding {
  readonly path: string;
  /** Counted from 1; 0 when it is about the whole file. */
  readonly line: number;
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  /** Whether the rule looks at the file with this path. */
  readonly reads: (path: string) => boolean;
  readonly find: (files: readonly TrackedFile[]) => readonly Finding[];
}

export interface RuleResult {
  readonly rule: string;
  readonly filesRead: number;
  readonly findings: readonly Finding[];
}

/** Applies a rule to those of the files that it reads. */
export function applyRule(rule: Rule, files: readonly TrackedFile[]): RuleResult {
  const read = files.filter((file) => rule.reads(file.path));
  const findings = read.length === 0 ? [sawNothing] : findOrFail(rule, read);
  return { rule: rule.name, filesRead: read.length, findings };
}

const sawNothing: Finding = { path: ".", line: 0, message: "the rule saw no file at all" };

/** A file that can't be read as what it should be is a finding as well, and doesn't stop other rules. */
function findOrFail(rule: Rule, files: readonly TrackedFile[]): readonly Finding[] {
  try {
    return rule.find(files);
  } catch (error) {
    return [
      { path: ".", line: 0, message: error instanceof Error ? error.message : String(error) },
    ];
  }
}

/** A finding as editors and people read it. */
export function findingLine({ rule }: RuleResult, { path, line, message }: Finding): string {
  return `${path}${line === 0 ? "" : `:${line}`}: ${message} (${rule})`;
}
