// Trying again, always with an end: by count, by time and by signal. Only what says of itself that it
// may pass is tried again.
import { ShoalError } from "@shoal/core/error";
import { retryPauseMsMax, retryPauseMsMin } from "@shoal/core/limits";
import pRetry from "p-retry";

export interface RetryOptions {
  /** Ends the tries; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Most tries, the first included; without it the signal alone ends them. */
  readonly triesMax?: number;
  /** No new try is begun after this time. */
  readonly maxMs?: number;
  readonly onFailure?: (error: Error) => void;
}

/** Runs an operation until it succeeds, fails for good, or the options say enough. */
export function retry<Result>(
  operation: () => Promise<Result>,
  options: RetryOptions,
): Promise<Result> {
  return pRetry(operation, {
    signal: options.signal,
    retries: (options.triesMax ?? Number.POSITIVE_INFINITY) - 1,
    maxRetryTime: options.maxMs ?? Number.POSITIVE_INFINITY,
    minTimeout: retryPauseMsMin,
    maxTimeout: retryPauseMsMax,
    factor: 2,
    randomize: true,
    onFailedAttempt: ({ error }) => options.onFailure?.(error),
    shouldRetry: ({ error }) => error instanceof ShoalError && error.retryable,
  });
}
