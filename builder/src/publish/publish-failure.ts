// What it means when a seeder doesn't take an artifact: a fault of ours, whatever code it answered.
import { ShoalError } from "@shoal/core/error";

/** The error of a call to the seeder as `publish_failed`; an aborted signal's reason stays what it is. */
export function publishFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return error;
  const why = error instanceof ShoalError ? `${error.message} (${error.code})` : String(error);
  return new ShoalError("publish_failed", `The seeder didn't take the artifact: ${why}`, {
    blame: "environment",
    retryable: true,
    cause: error,
  });
}
