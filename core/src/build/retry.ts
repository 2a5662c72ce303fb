// What becomes of a build whose attempt failed by a fault of ours: another attempt after a wait that
// doubles, or the end: at the last attempt, or when only a person can make the next one better.
import { buildAttemptsMax, buildRetryMs, buildRetryMsMax } from "../limits.ts";
import type { Millis } from "../units.ts";
import { type BuildEvent } from "./state.ts";

export interface RetryDecision {
  readonly event: Extract<BuildEvent, "failedByUs" | "leaseExpired" | "attemptsExhausted">;
  /** How long the build waits in the queue; 0 when it has ended. */
  readonly waitMs: Millis;
}

/** A builder whose statements nobody believes. It takes no more builds until a person has seen to it. */
export const builderKeyUntrusted = "builder_key_untrusted";

/** A project's secret that can't be given to its builds as it is. */
export const secretUnusable = "secret_unusable";

/** Faults that are the same at every attempt, until a person has changed something. */
const lastingFaults: ReadonlySet<string> = new Set([builderKeyUntrusted, secretUnusable]);

/** `attempt` is the one that failed, from 1; `code` is its failure's. */
export function decideRetry(
  attempt: number,
  cause: "failedByUs" | "leaseExpired",
  code: string,
): RetryDecision {
  const isLast = attempt >= buildAttemptsMax || lastingFaults.has(code);
  if (isLast) return { event: "attemptsExhausted", waitMs: 0 };
  return { event: cause, waitMs: Math.min(buildRetryMsMax, buildRetryMs * 2 ** (attempt - 1)) };
}
