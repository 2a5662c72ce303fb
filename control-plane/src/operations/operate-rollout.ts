// Pause, resume, abort: what a person does to a rollout that is under way.
import type { Rollout as RolloutView } from "@shoal/api/control-plane";
import { ShoalError } from "@shoal/core/error";
import { Rollout } from "@shoal/core/rollout/rollout";
import type { RolloutInput } from "@shoal/core/rollout/rollout-events";
import { isEnded } from "@shoal/core/rollout/rollout-state";
import { type StoredRollout, saveRollout } from "../db/rollouts.ts";
import type { ServiceName } from "../db/services.ts";
import type { DriveDeps } from "./drive-service.ts";
import { underLock } from "./under-lock.ts";

/** It opens nobody further; failures still halt it. Throws `rollout_not_running`. */
export function pauseRollout(
  deps: DriveDeps,
  name: ServiceName,
  by: string,
  reason: string,
): Promise<RolloutView> {
  return tellRunning(deps, name, () => ({ type: "held", by, reason }));
}

/** Throws `rollout_not_running`. */
export function resumeRollout(deps: DriveDeps, name: ServiceName): Promise<RolloutView> {
  return tellRunning(deps, name, () => ({ type: "released" }));
}

/**
 * Gives a deploy up: its hosts go back to what ran before, and the release may be deployed again.
 * Throws `rollout_not_running`, or `rollback_not_abortable`: what a rollback left is quarantined.
 */
export function abortRollout(
  deps: DriveDeps,
  name: ServiceName,
  by: string,
  reason: string,
): Promise<RolloutView> {
  return tellRunning(deps, name, (running) => {
    if (running.state.kind === "rollback") {
      throw new ShoalError("rollback_not_abortable", "A rollback can't be given up.", {
        blame: "remote",
        hint: "Roll back at once: that goes ahead of one that goes through waves.",
      });
    }
    const why = reason === "" ? "" : `: ${reason}`;
    return { type: "superseded", reason: `aborted by ${by}${why}` };
  });
}

function tellRunning(
  deps: DriveDeps,
  name: ServiceName,
  inputFor: (running: StoredRollout) => RolloutInput,
): Promise<RolloutView> {
  return underLock(deps, name, async (queries, service, newest) => {
    if (newest === null || isEnded(newest.state)) {
      throw new ShoalError("rollout_not_running", "No rollout of this service is under way.", {
        blame: "remote",
      });
    }
    const rollout = new Rollout(newest.state, deps.policy);
    rollout.handle(inputFor(newest), service.nowMs);
    await saveRollout(queries, newest.id, rollout.state, null);
    return newest.id;
  });
}
