// What a region's goal for a service should say, given the service and its rollout: a pure function,
// so that writing goals is a comparison that can be repeated at any time and after any crash.
import type { Goal } from "./goal.ts";
import type { Release } from "./release.ts";
import type { RolloutState } from "./rollout-events.ts";
import { isEnded, ruleOf } from "./rollout-state.ts";

/** All of a goal but its place and its order. */
export type GoalBody = Pick<
  Goal,
  "rollout" | "prepare" | "run" | "fallback" | "switch" | "salt" | "selector"
>;

export interface ServiceRelease {
  readonly selector: Readonly<Record<string, string>>;
  /** What every host should run when no rollout is under way; null before the first deploy. */
  readonly current: Release | null;
  /** The newest release before it that was healthy everywhere. */
  readonly fallback: Release | null;
  /** The newest rollout of the service, or null. */
  readonly rollout: {
    readonly id: number;
    readonly release: Release;
    readonly state: RolloutState;
  } | null;
}

/**
 * The goal of one region. What goes through waves goes above `current`, which is what its hosts go
 * back to; once it has ended, by whatever end, `current` and `fallback` say everything.
 */
export function desiredGoal(service: ServiceRelease, region: string): GoalBody {
  const { selector, current, fallback, rollout } = service;
  const salt = rollout?.state.salt ?? "";
  const body = { rollout: rollout?.id ?? null, salt, selector };
  if (rollout === null || !rollout.state.staged || isEnded(rollout.state)) {
    return { ...body, prepare: [], run: current, fallback, switch: { type: "all" } };
  }
  const rule = ruleOf(rollout.state, region);
  return {
    ...body,
    prepare: rule.type === "all" ? [] : [rollout.release],
    run: rollout.release,
    fallback: current,
    switch: rule,
  };
}
