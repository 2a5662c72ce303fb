// How an attempt's failure is told to the control plane: whose it is decides whether the build is
// tried again. The user's are listed; whatever isn't is ours.
import type { BuildLimits, Failure } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import type { SecretMask } from "./secrets/mask.ts";
import type { Breach } from "./sandbox/usage-watch.ts";
import type { SandboxEnd } from "./sandbox/sandbox.ts";

const usersCodes = new Set([
  "remote_refused",
  "commit_unknown",
  "commit_not_on_branch",
  "checkout_too_large",
  "build_failed",
  "prepare_failed",
  "tests_failed",
  "lock_file_missing",
  "build_timed_out",
  "build_out_of_memory",
  "build_out_of_disk",
  "artifact_missing",
  "artifact_escapes",
  "artifact_empty",
  "tree_refused",
  "tree_missing",
  "manifest_invalid",
]);

const messageCharsMax = 4000;

/** What an error means for the build. What it quotes (git's words, a program's) may hold a secret. */
export function failureOf(thrown: unknown, mask: Pick<SecretMask, "text">): Failure {
  const error = diskFullOf(thrown) ?? thrown;
  if (!(error instanceof ShoalError)) {
    const message = "Something went wrong inside the builder; its log has the cause.";
    return { code: "builder_error", message, blame: "system" };
  }
  const text = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  const message = mask.text(text).slice(0, messageCharsMax);
  return { code: error.code, message, blame: usersCodes.has(error.code) ? "user" : "system" };
}

/** What the system says when there is no room, as `builder_disk_full`; null for every other error. */
export function diskFullOf(error: unknown): ShoalError | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  if (error.code !== "ENOSPC" && error.code !== "EDQUOT") return null;
  const where = "path" in error ? ` while it wrote ${String(error.path)}` : "";
  return new ShoalError("builder_disk_full", `The builder's disk was full${where}.`, {
    blame: "environment",
    retryable: true,
    hint: "Make room on it, or give the builder another workDir.",
    cause: error,
  });
}

const stages = {
  build: { subject: "The build", code: "build_failed" },
  prepare: { subject: "The prepare command", code: "prepare_failed" },
  test: { subject: "The test stage", code: "tests_failed" },
} as const;

/** Returns when the command succeeded. @throws ShoalError with the code of what stopped it. */
export function requireSuccess(
  end: SandboxEnd,
  limits: BuildLimits,
  what: keyof typeof stages = "build",
): void {
  const { subject, code } = stages[what];
  switch (end.type) {
    case "exited":
      if (end.exitCode !== 0) throw users(code, `${subject} exited with code ${end.exitCode}.`);
      return;
    case "signalled":
      throw users(code, `${subject} was ended by ${end.signal}.`);
    case "outOfMemory":
      throw users(
        "build_out_of_memory",
        `${subject} needed more than ${limits.memoryBytesMax} bytes of memory.`,
        "Raise the project's limit memoryBytesMax, or let it need less.",
      );
    case "outOfDisk":
      throw users(
        "build_out_of_disk",
        `${subject} wrote ${end.bytes} bytes, more than ${limits.diskBytesMax}.`,
        "Raise the project's limit diskBytesMax, or let it write less.",
      );
    case "late":
      throw users(
        "build_timed_out",
        `${subject} took longer than ${limits.timeoutMs / 1000} seconds.`,
        "Raise the project's limit timeoutMs, or look in the log for what it waits for.",
      );
    case "builderDiskFull":
      throw diskFull(end);
    case "notStarted":
      throw ours("sandbox_failed", `The sandbox didn't start: ${end.message}`);
    case "stopped":
      throw ours("build_stopped", "The build was stopped.");
    default:
      end satisfies never;
  }
}

/** What it means when a checkout is stopped by what it uses. */
export function checkoutBreach(breach: Breach, limits: BuildLimits): ShoalError {
  if (breach.type !== "outOfDisk") return diskFull(breach);
  const message = `The checkout is larger than ${limits.diskBytesMax} bytes.`;
  return users("checkout_too_large", message, "Raise the project's limit diskBytesMax.");
}

function diskFull(breach: Breach): ShoalError {
  const left = breach.type === "builderDiskFull" ? breach.availableBytes : 0;
  return ours("builder_disk_full", `The builder has only ${left} bytes of disk left.`);
}

function users(code: string, message: string, hint?: string): ShoalError {
  return new ShoalError(code, message, {
    blame: "remote",
    hint,
  });
}

function ours(code: string, message: string): ShoalError {
  return new ShoalError(code, message, { blame: "environment", retryable: true });
}
