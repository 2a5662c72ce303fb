// What people ask about builds: start, retry, reschedule, cancel.
import type { Build } from "@shoal/api/control-plane";
import { nextBuildState } from "@shoal/core/build/state";
import { ShoalError } from "@shoal/core/error";
import { cancelMs } from "@shoal/core/limits";
import { lockBuild, moveBuild } from "../db/build-queue.ts";
import { type NewBuild, findBuild, findLiveBuild, noteBranch } from "../db/builds.ts";
import { type Database, type Queries, inTransaction } from "../db/connection.ts";
import { findProject } from "../db/projects.ts";
import { rescheduleBuild } from "../db/queue-view.ts";
import type { Wakeups } from "../db/wakeups.ts";
import { notFound } from "./not-found.ts";
import type { QueueCalls } from "./queue-calls.ts";
import type { QueueDepth } from "./queue-depth.ts";

export interface BuildRequestDeps {
  readonly database: Database;
  readonly wakeups: Wakeups;
  readonly depth: QueueDepth;
  readonly calls: QueueCalls;
}

/** The build of a commit: a new one, or the one that there is. */
export async function startBuild(
  deps: BuildRequestDeps,
  input: Omit<NewBuild, "retryOf" | "scheduledFor" | "branch"> & {
    readonly retryOf?: number;
    readonly branch?: string | null;
    readonly scheduledFor?: string | undefined;
  },
): Promise<{ readonly build: Build; readonly created: boolean }> {
  const { database } = deps;
  await deps.depth.requireRoom();
  const wanted = {
    retryOf: null,
    branch: null,
    ...input,
    scheduledFor: input.scheduledFor ?? null,
  };
  // Between two statements the build that stood in the way may have failed: look again, not for ever.
  for (let look = 0; look < 3; look += 1) {
    const created = await deps.calls.start(wanted);
    if (created !== undefined) {
      deps.wakeups.announce("queue");
      return { build: created, created: true };
    }
    const present = await findLiveBuild(database, input.project, input.commit);
    // The first branch that is known counts.
    if (present !== undefined && wanted.branch !== null)
      await noteBranch(database, present, wanted.branch);
    if (present !== undefined)
      return { build: await requireBuild(database, present), created: false };
    if ((await findProject(database, input.project)) === null)
      throw notFound("project", input.project);
  }
  throw new ShoalError("build_changing", "The commit's build ends just now.", {
    blame: "environment",
    retryable: true,
    hint: "Ask again.",
  });
}

/** Another build of the same commit. The old one stays as it ended, with its attempts and logs. */
export async function retryBuild(
  deps: BuildRequestDeps,
  id: number,
): Promise<{ readonly build: Build; readonly created: boolean }> {
  const build = await requireBuild(deps.database, id);
  if (build.state !== "FAILED" && build.state !== "CANCELLED" && build.state !== "DEAD") {
    const message = `Build ${id} is ${build.state}: only one that failed or was cancelled is retried.`;
    throw new ShoalError("build_not_retryable", message, {
      blame: "remote",
      hint: "Use force to build a commit again that has succeeded.",
    });
  }
  const { project, commit, priority } = build;
  return startBuild(deps, { project, commit, priority, force: false, retryOf: id });
}

/** Another priority or time for a build that is queued. */
export async function reschedule(
  deps: BuildRequestDeps,
  id: number,
  input: {
    readonly priority?: number | undefined;
    readonly scheduledFor?: string | null | undefined;
  },
): Promise<Build> {
  const { priority = null, scheduledFor } = input;
  const changed = await rescheduleBuild(deps.database, id, { priority, scheduledFor });
  const build = await requireBuild(deps.database, id);
  if (!changed) {
    throw new ShoalError("build_ended", `Build ${id} is ${build.state}, and not queued.`, {
      blame: "remote",
    });
  }
  deps.wakeups.announce("queue");
  return build;
}

/** Asks for the end of a build; one that is being cancelled or has been is answered as it is. */
export async function cancelBuild(
  deps: Pick<BuildRequestDeps, "database" | "wakeups">,
  id: number,
): Promise<Build> {
  const build = await inTransaction(deps.database, async (queries) => {
    const locked = await lockBuild(queries, id);
    if (locked === null) throw notFound("build", id);
    if (locked.state === "CANCELLING" || locked.state === "CANCELLED")
      return requireBuild(queries, id);
    const state = nextBuildState(locked.state, "cancelRequested");
    if (state === null) {
      throw new ShoalError("build_ended", `Build ${id} is ${locked.state} already.`, {
        blame: "remote",
      });
    }
    await moveBuild(
      queries,
      id,
      state === "CANCELLING" ? { state, deadlineInMs: cancelMs } : { state },
    );
    return requireBuild(queries, id);
  });
  deps.wakeups.ring(`log:${id}`);
  return build;
}

async function requireBuild(queries: Queries, id: number): Promise<Build> {
  const build = await findBuild(queries, id);
  if (build === null) throw notFound("build", id);
  return build;
}
