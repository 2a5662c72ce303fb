// ShoalError on one side of the wire, application/problem+json (RFC 9457) on the other. The status
// of a code is decided here once; a code that isn't listed gets one by who is to blame. What went
// wrong inside the server is for its log and isn't told to the caller.
import { ShoalError } from "@shoal/core/error";
import { type Problem, problem } from "./control-plane.ts";

export const problemMediaType = "application/problem+json";

const statusOfCode: Readonly<Record<string, number>> = {
  unauthorized: 401,
  webhook_signature_invalid: 401,
  forbidden: 403,
  permission_missing: 403,
  join_token_invalid: 403,
  not_found: 404,
  already_exists: 409,
  fence_stale: 409,
  build_ended: 409,
  build_not_deployable: 409,
  release_quarantined: 409,
  rollout_running: 409,
  rollout_not_running: 409,
  rollback_not_abortable: 409,
  promotion_required: 409,
  rollback_target_missing: 409,
  log_gap: 409,
  goal_conflict: 409,
  seeder_not_registered: 409,
  body_too_large: 413,
  invalid_input: 422,
  queue_full: 429,
  internal_error: 500,
  database_unavailable: 503,
  home_seeder_missing: 503,
  seeder_unreachable: 503,
};

/** In the details of an error that is about who calls, and not about what was sent. */
const ofCaller = { refused: "caller" } as const;

/** The error of a credential that isn't believed: nothing of the call was looked at. */
export function callerRefusal(error: unknown): unknown {
  if (!(error instanceof ShoalError)) return error;
  const { code, message, blame, retryable, hint, cause } = error;
  const details = { ...error.details, ...ofCaller };
  return new ShoalError(code, message, { blame, retryable, hint, details, cause });
}

/** Whether an answer says that the caller isn't believed. */
export function isCallerRefusal(error: unknown): boolean {
  return error instanceof ShoalError && error.details["refused"] === ofCaller.refused;
}

/** The HTTP status that an error is answered with. */
export function statusOf(error: ShoalError): number {
  const known = statusOfCode[error.code];
  if (known !== undefined) return known;
  if (error.blame === "remote") return 400;
  return error.blame === "environment" ? 503 : 500;
}

/** What a server answers for anything that was thrown; errors that aren't ours become `internal_error`. */
export function problemOf(thrown: unknown, requestId: string): Problem {
  const error =
    thrown instanceof ShoalError && statusOf(thrown) !== 500
      ? thrown
      : new ShoalError("internal_error", "Something went wrong inside the server.", {
          blame: "local",
          retryable: true,
          hint: `Its log has the cause under the request id ${requestId}.`,
        });
  const { issues, ...facts } = error.details as { issues?: Problem["issues"] };
  return {
    type: `urn:shoal:problem:${error.code}`,
    title: error.code.replaceAll("_", " "),
    status: statusOf(error),
    detail: error.message,
    code: error.code,
    requestId,
    retryable: error.retryable,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(issues === undefined ? {} : { issues }),
    ...(Object.keys(facts).length === 0 ? {} : { details: facts }),
  };
}

/**
 * What a client throws for an answer that isn't 2xx: the problem's own code when there is one, else
 * `http_error`. Answers 4xx blame the caller, others the other side.
 */
export function errorOfAnswer(status: number, body: unknown): ShoalError {
  const parsed = problem.safeParse(body);
  const blame = status >= 400 && status < 500 ? "local" : "remote";
  if (!parsed.success) {
    return new ShoalError("http_error", `The server answered ${status} without saying why.`, {
      blame,
      retryable: status >= 500 || status === 429,
      details: { status },
    });
  }
  const { code, detail, title, retryable, hint, issues, requestId, details } = parsed.data;
  const faults = (issues ?? []).map((issue) => `${issue.path}: ${issue.message}`).join("; ");
  return new ShoalError(code, `${detail ?? title}${faults === "" ? "" : ` ${faults}`}`, {
    blame,
    retryable,
    hint,
    details: { ...details, status, requestId, ...(issues === undefined ? {} : { issues }) },
  });
}
