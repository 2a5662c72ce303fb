// What it means when a seeder doesn't take an artifact: a fault of ours, whatever code it answered; and
// when it or the control plane doesn't believe this builder: a fault that only a person ends.
import { isCallerRefusal } from "@shoal/api/problem";
import { builderKeyUntrusted } from "@shoal/core/build/retry";
import { ShoalError } from "@shoal/core/error";

/** The error of a call to the seeder as `publish_failed`; an aborted signal's reason stays what it is. */
export function publishFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return error;
  const untrusted = keyRefusal(error);
  if (untrusted !== null) return untrusted;
  const why = error instanceof ShoalError ? `${error.message} (${error.code})` : String(error);
  return new ShoalError("publish_failed", `The seeder didn't take the artifact: ${why}`, {
    blame: "environment",
    retryable: true,
    cause: error,
  });
}

const keyRefusals = new Set(["signature_key_unknown", "key_not_allowed", "key_expired"]);

/** The error of a call that was refused because of the builder's key, as `builder_key_untrusted`; else null. */
export function keyRefusal(error: unknown): ShoalError | null {
  if (!(error instanceof ShoalError) || !keyRefusals.has(error.code)) return null;
  if (isCallerRefusal(error)) return null;
  const why = `${error.message} (${error.code})`;
  return new ShoalError(builderKeyUntrusted, `Nobody believes this builder's statements: ${why}.`, {
    blame: "environment",
    hint: "Name its key in the trust document, or give it one that is named; restart it, and retry the build.",
    cause: error,
  });
}
