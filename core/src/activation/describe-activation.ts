// What a host says of a service, in the words that people and the rollout engine read.
import type { Goal } from "../rollout/goal.ts";
import type { Release } from "../rollout/release.ts";
import type { ActivationState, ActivationStatus, FailedRelease } from "./activation-events.ts";
import type { Program } from "./program.ts";

export interface ActivationFacts {
  readonly goal: Goal | null;
  readonly program: Program | null;
  /** Whether a release was started again, or will be, since it was last stable. */
  readonly restarting: boolean;
  /** In the goal's rollout. */
  readonly failed: FailedRelease | null;
  readonly target: Release | null;
  /** The most urgent first. */
  readonly wanted: readonly Release[];
  readonly holds: (release: string) => boolean;
  readonly fetchFailure: (release: string) => string | undefined;
}

export function describeActivation(facts: ActivationFacts): ActivationStatus {
  const { program, failed } = facts;
  const runs = program !== null && (program.phase === "starting" || program.phase === "healthy");
  return {
    state: stateOf(facts),
    running: runs ? program.release.id : null,
    healthy: program?.phase === "healthy",
    failed,
    waitsFor: waitsFor(facts),
  };
}

function stateOf(facts: ActivationFacts): ActivationState {
  const { goal, program, failed, target, wanted, holds } = facts;
  if (goal === null) return "idle";
  // As long as the goal still wants what failed here; after that it is only history.
  if (failed !== null && goal.run?.id === failed.release) {
    if (goal.fallback !== null) return "rolledBack";
    return program?.phase === "healthy" ? "healthy" : "failed";
  }
  if (program !== null) {
    if (program.phase === "healthy") return "healthy";
    return program.phase === "stopping" ? "stopped" : "starting";
  }
  if (target !== null && holds(target.id)) return facts.restarting ? "unhealthy" : "starting";
  if (wanted.some((release) => !holds(release.id))) return "fetching";
  return wanted.length > 0 ? "prepared" : "stopped";
}

function waitsFor({ program, target, wanted, holds, fetchFailure }: ActivationFacts): string {
  const missing = wanted.find((release) => !holds(release.id));
  if (missing !== undefined) {
    const why = fetchFailure(missing.id);
    const what = `the artifact of commit ${missing.commit.slice(0, 12)}`;
    return why === undefined ? what : `${what} (${why})`;
  }
  if (program === null) return target === null ? "" : "the time of the next start";
  if (program.phase === "stopping") return "the program's end";
  if (program.phase === "healthy") return "";
  const complaint = program.complaint === "" ? "" : ` (${program.complaint})`;
  return `the health check to pass${complaint}`;
}
