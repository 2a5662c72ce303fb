// What a git host is told about a commit: its four words, from the state of the commit's build.
import type { BuildState } from "./state.ts";

export interface CommitStatus {
  readonly state: "pending" | "success" | "failure" | "error";
  /** At most 140 characters, as GitHub wants it. */
  readonly description: string;
}

const words: Readonly<Record<BuildState, CommitStatus>> = {
  QUEUED: { state: "pending", description: "waits for a builder" },
  BUILDING: { state: "pending", description: "is being built" },
  REPLICATING: { state: "pending", description: "is built, regions fetch it" },
  CANCELLING: { state: "pending", description: "is being cancelled" },
  SUCCEEDED: { state: "success", description: "can be deployed" },
  FAILED: { state: "failure", description: "failed" },
  CANCELLED: { state: "error", description: "was cancelled" },
  DEAD: { state: "error", description: "was given up after errors of ours" },
};

/** `reason` is the failure's message, when there is one. */
export function commitStatusOf(state: BuildState, reason: string | null): CommitStatus {
  const { state: word, description } = words[state];
  const text = reason === null ? description : `${description}: ${reason}`;
  return { state: word, description: text.length <= 140 ? text : `${text.slice(0, 139)}…` };
}
