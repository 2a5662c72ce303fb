// The one error class of Shoal. Expected outcomes are return values; this is for what the caller
// could not have expected. Whoever shows it to a person shows `code`, `message` and `hint`.

/** Who has to act: the caller or operator of this process, the other side of a wire, or the machine. */
export type Blame = "local" | "remote" | "environment";

export interface ShoalErrorOptions {
  readonly blame: Blame;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean;
  /** What a person should do next, as one sentence. */
  readonly hint?: string | undefined;
  /** Facts for logs and for `application/problem+json`; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error with a stable code (`snake_case`, documented in docs/PROTOCOL.md, "Error codes"). */
export class ShoalError extends Error {
  readonly code: string;
  readonly blame: Blame;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: ShoalErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ShoalError";
    this.code = code;
    this.blame = options.blame;
    this.retryable = options.retryable ?? false;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** An error that the other side caused by what it sent. */
export function remoteError(
  code: string,
  message: string,
  details?: Readonly<Record<string, unknown>>,
): ShoalError {
  return new ShoalError(
    code,
    message,
    details === undefined ? { blame: "remote" } : { blame: "remote", details },
  );
}

/** Fails loudly on a state that our own code promised can't happen. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ShoalError("assertion_failed", message, { blame: "local" });
}
