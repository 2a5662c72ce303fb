// Waits for a build or a rollout to end, telling the caller of every change. Polls: the control
// plane may restart in between, and a lost answer costs one interval.
import type { Client } from "@shoal/api/client";
import type { Build, Rollout } from "@shoal/api/control-plane";
import { isFinalBuildState } from "@shoal/core/build/state";
import { ShoalError } from "@shoal/core/error";
import { setTimeout as sleep } from "node:timers/promises";

export interface FollowOptions {
  readonly pollMs: number;
  /** After this long a `follow_deadline` error says what was last seen. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The calls of a client that following needs. */
export interface Followed {
  readonly builds: Pick<Client["builds"], "get">;
  readonly rollouts: Pick<Client["rollouts"], "get">;
}

/** Polls a build until it is final. */
export function followBuild(
  client: Pick<Followed, "builds">,
  id: number,
  options: FollowOptions,
  onState: (build: Build) => void,
): Promise<Build> {
  return follow(
    () => client.builds.get(id),
    (build) => isFinalBuildState(build.state),
    options,
    onState,
    (build) => `build ${id} is ${build.state}`,
  );
}

/** Polls a rollout until it ended. */
export function followRollout(
  client: Pick<Followed, "rollouts">,
  id: number,
  options: FollowOptions,
  onState: (rollout: Rollout) => void,
): Promise<Rollout> {
  return follow(
    () => client.rollouts.get(id),
    (rollout) => rollout.endedAt !== null,
    options,
    onState,
    (rollout) => `rollout ${id} is ${rollout.state}: ${rollout.reason}`,
  );
}

async function follow<State>(
  read: () => Promise<State>,
  isFinal: (state: State) => boolean,
  options: FollowOptions,
  onState: (state: State) => void,
  describe: (state: State) => string,
): Promise<State> {
  const deadlineAt = performance.now() + options.deadlineMs;
  let last = "nothing was answered";
  for (;;) {
    options.signal?.throwIfAborted();
    const state = await readPatiently(read);
    if (state !== null) {
      onState(state);
      if (isFinal(state)) return state;
      last = describe(state);
    }
    if (performance.now() > deadlineAt) {
      throw new ShoalError("follow_deadline", `Gave up waiting: ${last}.`, {
        blame: "environment",
        retryable: true,
      });
    }
    await sleep(
      options.pollMs,
      undefined,
      options.signal === undefined ? {} : { signal: options.signal },
    );
  }
}

async function readPatiently<State>(read: () => Promise<State>): Promise<State | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ShoalError && error.retryable) return null;
    throw error;
  }
}
