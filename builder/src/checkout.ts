// Checks one commit out by its full id, and nothing else: no history where the remote allows that, no
// tags, no submodules, no LFS. What went wrong is told apart: the project's remote or commit, which
// the user has to mend, from the network and the machine, which may be better next time.
import { mkdir } from "node:fs/promises";
import { ShoalError } from "@shoal/core/error";
import { checkoutMsMax } from "@shoal/core/limits";
import { isOnBranch } from "./branch-check.ts";
import type { Git } from "@shoal/daemon/git";
import type { ProgramEnd } from "@shoal/daemon/program";
import type { Remote } from "@shoal/api/remote-url";

export interface CheckoutInput {
  readonly remote: Remote;
  /** 40 or 64 hexadecimal digits. */
  readonly commit: string;
  /** Empty or not there yet. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/**
 * Fetches the commit and writes its files into the folder.
 * @throws ShoalError `commit_unknown`, `commit_not_on_branch`, `remote_refused` (the user's to mend),
 *   `remote_unreachable`, `checkout_failed`, `checkout_late` (ours), or the signal's reason when it is aborted.
 */
export async function checkout(deps: { readonly git: Git }, input: CheckoutInput): Promise<void> {
  const deadlineMs = performance.now() + checkoutMsMax;
  const gitIn = async (folder: string, ...args: string[]): Promise<ProgramEnd> => {
    const timeoutMs = Math.max(1, deadlineMs - performance.now());
    const end = await deps.git.run(folder, args, { timeoutMs, signal: input.signal });
    input.signal.throwIfAborted();
    if (end.type === "late") throw late();
    return end;
  };
  const git: RunGit = (...args) => gitIn(input.folder, ...args);
  await mkdir(input.folder, { recursive: true });
  const format = input.commit.length === 64 ? "sha256" : "sha1";
  must(await git("init", "--quiet", "--template=", `--object-format=${format}`));
  const fetched = await fetchCommit(git, input);
  const found = await git("rev-parse", "--quiet", "--verify", `${input.commit}^{commit}`);
  if (found.stdout.trim() !== input.commit) throw unknownCommit(input);
  const check = { git: gitIn, fault: (end: ProgramEnd) => remoteFault(end, input) };
  const place = { url: input.remote.url, commit: input.commit, folder: input.folder };
  if (fetched === "commit" && !(await isOnBranch(check, place))) throw offBranch(input);
  must(await git("checkout", "--quiet", "--force", "--detach", input.commit));
}

type RunGit = (...args: string[]) => Promise<ProgramEnd>;

/** Answers whether it got the commit alone, or everything that branches and tags lead to. */
async function fetchCommit(git: RunGit, input: CheckoutInput): Promise<"commit" | "branches"> {
  const fetch = [
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
  ];
  const one = await git(...fetch, "--depth=1", "--", input.remote.url, input.commit);
  if (one.exitCode === 0) return "commit";
  if (/not our ref|no such remote ref|couldn't find remote ref/i.test(one.stderr)) {
    throw unknownCommit(input);
  }
  // Older servers hand out only what a branch or tag points to, and plain file servers know no depth.
  if (!/unadvertised object|dumb http|shallow capabilities/i.test(one.stderr)) {
    throw remoteFault(one, input);
  }
  const refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
  const all = await git(...fetch, "--", input.remote.url, ...refs);
  if (all.exitCode !== 0) throw remoteFault(all, input);
  return "branches";
}

function unknownCommit(input: CheckoutInput): ShoalError {
  const message = `The remote ${input.remote.publicUrl} has no commit ${input.commit}.`;
  return new ShoalError("commit_unknown", message, {
    blame: "remote",
    hint: "Push the commit, and give its full id.",
  });
}

function offBranch(input: CheckoutInput): ShoalError {
  const message = `The commit ${input.commit} is on no branch or tag of ${input.remote.publicUrl}.`;
  return new ShoalError("commit_not_on_branch", message, {
    blame: "remote",
    hint: "Push it to a branch: what isn't on one may be anybody's.",
  });
}

const refusals =
  /not found|does not exist|not appear to be a git repository|authentication failed|could not read username|permission denied|access denied|host key verification failed|transport '.*' not allowed|error: 40[134]|not a git repository/i;

function remoteFault(end: ProgramEnd, input: CheckoutInput): ShoalError {
  const said = `git says: ${lastLines(end)}`;
  const { publicUrl } = input.remote;
  if (refusals.test(end.stderr)) {
    return new ShoalError("remote_refused", `The remote ${publicUrl} can't be used. ${said}`, {
      blame: "remote",
      hint: "Check the project's remote, and that this builder may read it.",
    });
  }
  return new ShoalError("remote_unreachable", `The remote ${publicUrl} didn't answer. ${said}`, {
    blame: "environment",
    retryable: true,
  });
}

function must(end: ProgramEnd): void {
  if (end.exitCode === 0) return;
  throw new ShoalError(
    "checkout_failed",
    `git couldn't write the checkout. It says: ${lastLines(end)}`,
    {
      blame: "environment",
      retryable: true,
    },
  );
}

function late(): ShoalError {
  const message = `The checkout took longer than ${checkoutMsMax / 1000} seconds.`;
  return new ShoalError("checkout_late", message, { blame: "environment", retryable: true });
}

/** The end of what git said, where its reason is, short enough for a status line. */
function lastLines(end: ProgramEnd): string {
  const text = end.stderr.trim().split("\n").slice(-4).join(" ").slice(-800);
  return text === "" ? `nothing (exit code ${end.exitCode})` : text;
}
