// Whether a commit is on a branch or tag of its remote. Servers hand out any object whose id is known,
// also what was only ever proposed from a fork: building that would let strangers decide what runs.
// Looks at the heads first, then at history no older than the commit, then at all of it; commits only,
// where the remote can leave the rest out. In a repository of its own, so that the checkout stays small.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ProgramEnd } from "@shoal/daemon/program";

export interface BranchCheck {
  /** Runs git in a folder; see `Git`. */
  readonly git: (folder: string, ...args: string[]) => Promise<ProgramEnd>;
  /** Makes an error of a fetch that failed. */
  readonly fault: (end: ProgramEnd) => Error;
}

export interface CommitPlace {
  readonly url: string;
  readonly commit: string;
  /** A checkout that has the commit. */
  readonly folder: string;
}

/** Clocks of those who commit differ: a descendant may look this much older. */
const dateSlackSeconds = 24 * 3600;
const refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/** Throws what `fault` makes of a remote that can't be asked. */
export async function isOnBranch(check: BranchCheck, place: CommitPlace): Promise<boolean> {
  const { url, commit, folder } = place;
  const heads = await check.git(folder, "ls-remote", "--quiet", "--heads", "--tags", "--", url);
  if (heads.exitCode !== 0) throw check.fault(heads);
  if (heads.stdout.split("\n").some((line) => line.startsWith(`${commit}\t`))) return true;
  const history = join(folder, ".git", "shoal-history");
  await rm(history, { recursive: true, force: true });
  await mkdir(history, { recursive: true });
  try {
    return await isInHistory(check, place, history);
  } finally {
    await rm(history, { recursive: true, force: true });
  }
}

async function isInHistory(
  { git, fault }: BranchCheck,
  { url, commit, folder }: CommitPlace,
  history: string,
): Promise<boolean> {
  const format = commit.length === 64 ? "sha256" : "sha1";
  const init = await git(history, "init", "--quiet", "--bare", `--object-format=${format}`, ".");
  if (init.exitCode !== 0) throw fault(init);
  // A remote with a name: only of such a one git takes history without its trees.
  const named = await git(history, "remote", "add", "--", "origin", url);
  if (named.exitCode !== 0) throw fault(named);
  const date = await git(folder, "show", "--no-patch", "--format=%ct", commit);
  const sinceSeconds = Math.max(0, Number(date.stdout.trim()) - dateSlackSeconds);
  const fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=tree:0"];
  const contains = async (): Promise<boolean> => {
    const found = await git(history, "for-each-ref", "--count=1", "--contains", commit);
    return found.exitCode === 0 && found.stdout.trim() !== "";
  };
  // Fails where no branch is that young, and where the remote knows no depth: then all is asked for.
  const recent = await git(
    history,
    ...fetch,
    `--shallow-since=${sinceSeconds}`,
    "--",
    url,
    ...refs,
  );
  if (recent.exitCode === 0 && (await contains())) return true;
  const depth = recent.exitCode === 0 ? ["--unshallow"] : [];
  const all = await git(history, ...fetch, ...depth, "origin", ...refs);
  if (all.exitCode !== 0 && !/does not make sense/.test(all.stderr)) throw fault(all);
  return contains();
}
