// Runs a program and measures it from outside, the same way for ours and for others': wall time, CPU
// time and peak memory of it and its children, as GNU time reports them.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ShoalError } from "@shoal/core/error";

export interface Timed {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  readonly stdout: string;
}

const runMsMax = 60 * 60_000;
const outputBytesMax = 16 * 1024 * 1024;

/** Runs to the end; throws what the program says when it fails. */
export async function runTimed(program: string, args: readonly string[]): Promise<Timed> {
  const dir = await mkdtemp(join(tmpdir(), "shoal-timed-"));
  const report = join(dir, "report");
  try {
    const { stdout } = await promisify(execFile)(
      "/usr/bin/time",
      ["-o", report, "-f", "%e %U %S %M", program, ...args],
      { timeout: runMsMax, maxBuffer: outputBytesMax, encoding: "utf8" },
    );
    const [wall, user, system, peakKib] = (await readFile(report, "utf8")).split(" ").map(Number);
    return {
      wallSeconds: wall ?? Number.NaN,
      cpuSeconds: (user ?? Number.NaN) + (system ?? Number.NaN),
      peakMiB: Math.round((peakKib ?? Number.NaN) / 1024),
      stdout,
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Throws `program_missing` with what to install when a program that is compared with isn't there. */
export async function requirePrograms(programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const found = await promisify(execFile)("sh", ["-c", `command -v ${program}`]).then(
      () => true,
      () => false,
    );
    if (found) continue;
    throw new ShoalError("program_missing", `${program} isn't installed`, {
      blame: "environment",
      hint: `On Debian: apt-get install -y ${program}`,
    });
  }
}
