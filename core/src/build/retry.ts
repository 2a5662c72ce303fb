// What becomes of a build whose attempt failed by a fault of ours: another attempt after a wait that
// doubles, or the end.
import { buildAttemptsMax, buildRetryMs, buildRetryMsMax } from "../limits.ts";
import type { Millis } from "../units.ts";
import { type BuildEvent } from "./state.ts";

export interface RetryDecision {
  readonly event: Extract<BuildEvent, "failedByUs" | "leaseExpired" | "attemptsExhausted">;
  /** How long the build waits in the queue; 0 when it has ended. */
  readonly waitMs: Millis;
}

/** `attempt` is the one that failed, from 1. */
export function decideRetry(attempt: number, cause: "failedByUs" | "leaseExpired"): RetryDecision {
  if (attempt >= buildAttemptsMax) return { event: "attemptsExhausted", waitMs: 0 };
  return { event: cause, waitMs: Math.min(buildRetryMsMax, buildRetryMs * 2 ** (attempt - 1)) };
}
