// The one shape of every benchmark's answer: the last line of standard output, one JSON object.
import { execFileSync } from "node:child_process";
import { cpus, totalmem, release, arch } from "node:os";

export interface BenchResult {
  readonly bench: string;
  /** Commit that was measured, with "+" when the checkout had changes. */
  readonly commit: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Raw numbers of every run, ours and the other tool's. */
  readonly runs: readonly Readonly<Record<string, unknown>>[];
  /** Name to number, units in the names. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Tells what a bench measured, under its name; `json` prints the JSON line alone. */
export type Finish = (name: string, measured: Measured, json: boolean) => void;

/** What a benchmark finds out; the rest is added by `createResult`. */
export type Measured = Pick<BenchResult, "settings" | "runs" | "figures">;

export function createResult(bench: string, measured: Measured): BenchResult {
  return { bench, commit: describeCommit(), machine: describeMachine(), ...measured };
}

/** The middle value; the mean of the two middle ones of an even number. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Rounded to three significant digits or more, so that a JSON line stays readable. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function describeCommit(): string {
  try {
    const head = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
    const changed = execFileSync("git", ["status", "--porcelain"], { encoding: "utf8" }).trim();
    return changed === "" ? head : `${head}+`;
  } catch {
    return "unknown";
  }
}

function describeMachine(): Record<string, string | number> {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGiB: rounded(totalmem() / 1024 ** 3),
    kernel: release(),
    arch: arch(),
    node: process.versions.node,
  };
}
