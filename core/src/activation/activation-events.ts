// The vocabulary of one service on one host: facts that its machine is told, orders that it gives.
import type { Goal } from "../rollout/goal.ts";
import type { Release } from "../rollout/release.ts";

export type ActivationInput =
  /** Occurs when a goal of this service was verified and is kept on disk. Not newer: ignored. */
  | {
      readonly type: "goalAccepted";
      readonly goal: Goal;
      /** Whether the goal's selector takes this host. */
      readonly selected: boolean;
    }
  /** Occurs when a release is whole and verified on disk. */
  | { readonly type: "releaseHeld"; readonly release: string }
  /** Occurs when a held release was removed or found damaged. */
  | { readonly type: "releaseLost"; readonly release: string }
  /** Occurs when a release can't be had for now; it is tried again. */
  | {
      readonly type: "fetchFailed";
      readonly release: string;
      readonly code: string;
      readonly message: string;
    }
  /** Occurs when the order `start` was carried out. */
  | { readonly type: "programStarted"; readonly release: string }
  /** Occurs when the order `start` could not be carried out. */
  | {
      readonly type: "startFailed";
      readonly release: string;
      readonly code: string;
      readonly message: string;
    }
  /** Occurs at most once, before anything is ordered: a program of an earlier life of the agent still runs. */
  | { readonly type: "programFound"; readonly release: Release }
  /** Occurs when the program ended, by itself or by the order `stop`. */
  | { readonly type: "programExited"; readonly release: string; readonly message: string }
  /** Occurs after each health check of the running program. */
  | {
      readonly type: "healthChecked";
      readonly release: string;
      readonly healthy: boolean;
      readonly message: string;
    }
  | { readonly type: "deadline" };

export type ActivationOutput =
  /** Make `durable()` safe on disk BEFORE carrying out any later order: what failed must not be tried again after a crash. */
  | { readonly type: "save" }
  /** Switch to this release and start its program. Answered by `programStarted` or `startFailed`. */
  | { readonly type: "start"; readonly release: Release }
  /** End the running program. Answered by `programExited`, however long it takes. */
  | { readonly type: "stop"; readonly release: string };

/** A release that was tried in a rollout and didn't do. */
export interface FailedRelease {
  /** The goal's rollout; the same release may be tried again in another one. */
  readonly rollout: number | null;
  readonly release: string;
  readonly code: string;
  readonly message: string;
}

/** What outlives the agent. */
export interface DurableActivation {
  readonly failed: FailedRelease | null;
  /** Releases of the goal that were healthy for `trialMs` here. */
  readonly proven: readonly string[];
}

export type ActivationState =
  | "idle"
  | "fetching"
  | "prepared"
  | "starting"
  | "healthy"
  | "unhealthy"
  | "rolledBack"
  | "stopped"
  | "failed";

/** What the host says of the service. */
export interface ActivationStatus {
  readonly state: ActivationState;
  readonly running: string | null;
  readonly healthy: boolean;
  /** In the goal's rollout. */
  readonly failed: FailedRelease | null;
  /** For a person; empty when it waits for nothing. */
  readonly waitsFor: string;
}
