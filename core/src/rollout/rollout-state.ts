// The rollout engine's state: how it begins, what it says about a region, and states that an earlier
// version left in the database.
import type { Millis } from "../units.ts";
import type { SwitchRule } from "./goal.ts";
import type { RolloutState } from "./rollout-events.ts";

/**
 * The state of a rollout that begins now. A rollback has one wave, everybody, from the start, unless
 * it is `staged`.
 */
export function beginRollout(
  kind: "deploy" | "rollback",
  salt: string,
  nowMs: Millis,
  staged: boolean = kind === "deploy",
): RolloutState {
  return {
    format: 2,
    kind,
    staged,
    salt,
    phase: staged ? "PREPARING" : "SWITCHING",
    paused: false,
    held: null,
    region: null,
    regionsDone: [],
    plan: staged ? [] : [{ hosts: 0, share: 1 }],
    wave: 0,
    openToAll: !staged,
    rules: {},
    opened: {},
    known: {},
    sinceMs: nowMs,
    doneSinceMs: null,
    dataMs: nowMs,
    emptySinceMs: null,
    silentBefore: 0,
    nowMs,
    reason: "waits for the first counts of the regions",
  };
}

export function isEnded(state: RolloutState): boolean {
  return state.phase !== "PREPARING" && state.phase !== "SWITCHING";
}

/** What a region's hosts may do now. Regions that come back into service join when all may. */
export function ruleOf(state: RolloutState, region: string): SwitchRule {
  if (state.phase === "SUCCEEDED" || state.openToAll) return { type: "all" };
  return state.rules[region] ?? { type: "none" };
}

/** A state as a database kept it, also one of the first format; null when it is of another version. */
export function readRolloutState(json: unknown): RolloutState | null {
  const state = json as RolloutState | FirstState;
  if (state.format === 2) return state;
  if (state.format !== 1) return null;
  const { kind, salt, nowMs, phase, plan, wave, rules } = state;
  return {
    ...beginRollout(kind, salt, nowMs),
    ...state,
    format: 2,
    rules: Object.fromEntries(
      Object.entries(rules).map(([region, rule]) => [
        region,
        rule.type === "share" ? { ...rule, hosts: [] } : rule,
      ]),
    ),
    openToAll: phase === "SWITCHING" && wave === plan.length - 1,
  };
}

/** Before waves opened in steps: the last one opened everybody at once. */
type FirstState = Omit<
  RolloutState,
  "format" | "staged" | "held" | "region" | "regionsDone" | "openToAll" | "opened" | "known"
> & { readonly format: 1 };
