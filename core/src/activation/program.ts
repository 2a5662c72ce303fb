// The one program of a service as its machine sees it: ordered, starting, healthy, being stopped; and
// how often its release had to be started again.
import { restartPauseMsMax, restartPauseMsMin, stableMs } from "../limits.ts";
import type { Release } from "../rollout/release.ts";
import type { Millis } from "../units.ts";

export interface Program {
  readonly release: Release;
  /** `ordered` until the supervisor says that it started. */
  readonly phase: "ordered" | "starting" | "healthy" | "stopping";
  /** Meaningless while `ordered`. */
  readonly startedAt: Millis;
  /** Null unless `healthy`. */
  readonly healthySince: Millis | null;
  /** Consecutive; one of the two is 0. */
  readonly successes: number;
  readonly failures: number;
  /** What the last check that failed said; empty when the last one passed. */
  readonly complaint: string;
}

/** Starts of one release that didn't last, since it was last stable. */
export interface Restarts {
  readonly release: string;
  readonly count: number;
  readonly notBefore: Millis;
}

export function orderedProgram(release: Release): Program {
  return {
    release,
    phase: "ordered",
    startedAt: 0,
    healthySince: null,
    successes: 0,
    failures: 0,
    complaint: "",
  };
}

export function startedProgram(release: Release, now: Millis): Program {
  const program: Program = { ...orderedProgram(release), phase: "starting", startedAt: now };
  // Nothing runs and nothing is checked: it is well as soon as it is there.
  const { command, health } = release.run;
  return command.length === 0 && health.type === "none" ? becameHealthy(program, now) : program;
}

/** The program after one more health check. It is unhealthy when `failures` reaches its release's limit. */
export function checkedProgram(
  program: Program,
  { healthy, message }: { readonly healthy: boolean; readonly message: string },
  now: Millis,
): Program {
  const checked: Program = {
    ...program,
    successes: healthy ? program.successes + 1 : 0,
    failures: healthy ? 0 : program.failures + 1,
    complaint: healthy ? "" : message,
  };
  const isEnough = checked.successes >= program.release.run.health.healthyAfterCount;
  return program.phase === "starting" && isEnough ? becameHealthy(checked, now) : checked;
}

export function becameHealthy(program: Program, now: Millis): Program {
  return { ...program, phase: "healthy", healthySince: now };
}

export function isUnhealthy(program: Program): boolean {
  return (
    program.phase === "healthy" &&
    program.failures >= program.release.run.health.unhealthyAfterCount
  );
}

/** One more restart of this program's release, later the more there were. */
export function nextRestart(before: Restarts | null, program: Program, now: Millis): Restarts {
  const release = program.release.id;
  const wasStable = program.healthySince !== null && now - program.healthySince >= stableMs;
  const count = before?.release === release && !wasStable ? before.count + 1 : 1;
  const pauseMs = Math.min(restartPauseMsMax, restartPauseMsMin * 2 ** Math.min(count - 1, 30));
  return { release, count, notBefore: now + pauseMs };
}
