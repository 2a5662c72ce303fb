// Looks at the heads of projects' branches and builds those that nobody asked for: git hosts don't repeat
// a delivery that was lost, and not every host sends one.
import { branchLookMs, branchLooksAtOnce, branchLooksPerRound } from "@shoal/core/limits";
import { type WatchedProject, commitsWithoutBuild, takeDueProjects } from "../db/branch-heads.ts";
import { type BuildRequestDeps, startBuild } from "./build-requests.ts";

/** Heads of a remote by branch. Rejects when it can't be asked. */
export type ListHeads = (
  remoteUrl: string,
  branches: readonly string[],
) => Promise<ReadonlyMap<string, string>>;

export interface WatchDeps extends BuildRequestDeps {
  readonly listHeads: ListHeads;
  readonly log: { warn(facts: object, message: string): void };
}

/** Looks at every project that is due; answers how many builds it asked for. */
export async function watchBranches(deps: WatchDeps): Promise<number> {
  const due = await takeDueProjects(deps.database, branchLookMs, branchLooksPerRound);
  let started = 0;
  const work = async (): Promise<void> => {
    for (let next = due.pop(); next !== undefined; next = due.pop()) {
      started += await lookAt(deps, next).catch((error: unknown) => {
        // Due again later: one remote that is away doesn't keep others waiting.
        deps.log.warn({ project: next?.project, error }, "branch heads couldn't be looked at");
        return 0;
      });
    }
  };
  await Promise.all(Array.from({ length: branchLooksAtOnce }, work));
  return started;
}

async function lookAt(deps: WatchDeps, watched: WatchedProject): Promise<number> {
  const { project, remoteUrl, branches } = watched;
  const heads = await deps.listHeads(remoteUrl, branches);
  const commits = [...new Set(heads.values())];
  let started = 0;
  for (const commit of await commitsWithoutBuild(deps.database, project, commits)) {
    const branch = branches.find((name) => heads.get(name) === commit) ?? null;
    const wanted = { project, commit, branch, priority: 0, force: false };
    const { created } = await startBuild(deps, wanted);
    if (created) started += 1;
  }
  return started;
}
