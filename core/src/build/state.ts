// The states of a build and how it may move between them: the only table of it. Every state that
// isn't final has an owner, who moves it on, and a reaper, who does when the owner is gone.

import { assert } from "../error.ts";

export type BuildState =
  /** Waits for a builder. Owner: the queue. */
  | "QUEUED"
  /** A builder holds the lease. Owner: that builder; reaper: the lease reaper. */
  | "BUILDING"
  /** The home region has the artifact, other regions pull it. Owner: the replication loop, by a deadline. */
  | "REPLICATING"
  /** Somebody asked to stop it and the builder hasn't proved it yet. Owner: the builder, by a deadline. */
  | "CANCELLING"
  /** Every in-service region of the project holds the artifact: deployable. Final. */
  | "SUCCEEDED"
  /** The user's code or configuration failed, or replication missed its deadline. Final. */
  | "FAILED"
  /** Final. */
  | "CANCELLED"
  /** Errors of ours used up every attempt. Final. */
  | "DEAD";

export type BuildEvent =
  | "leased"
  | "published"
  | "replicated"
  | "failedByUser"
  | "failedByUs"
  | "leaseExpired"
  /** The database was restored or failed over: whoever held the build may not be believed any more. */
  | "databaseRestored"
  | "attemptsExhausted"
  | "replicationDeadline"
  | "cancelRequested"
  | "cancelProved"
  | "cancelDeadline";

/** What each state becomes by each event; an event that isn't listed is refused and changes nothing. */
export const buildTransitions: Readonly<
  Record<BuildState, Readonly<Partial<Record<BuildEvent, BuildState>>>>
> = {
  QUEUED: { leased: "BUILDING", cancelRequested: "CANCELLED", attemptsExhausted: "DEAD" },
  BUILDING: {
    published: "REPLICATING",
    failedByUser: "FAILED",
    failedByUs: "QUEUED",
    leaseExpired: "QUEUED",
    databaseRestored: "QUEUED",
    attemptsExhausted: "DEAD",
    cancelRequested: "CANCELLING",
  },
  REPLICATING: {
    replicated: "SUCCEEDED",
    replicationDeadline: "FAILED",
    cancelRequested: "CANCELLED",
  },
  CANCELLING: {
    cancelProved: "CANCELLED",
    cancelDeadline: "CANCELLED",
    leaseExpired: "CANCELLED",
    databaseRestored: "CANCELLED",
  },
  SUCCEEDED: {},
  FAILED: {},
  CANCELLED: {},
  DEAD: {},
};

/** Every state, in the order of the table. */
export const buildStates = Object.keys(buildTransitions) as readonly BuildState[];

/** Who moves a build on, when that has to have happened, and who does it then; null for final states. */
export const buildStateCare: Readonly<
  Record<
    BuildState,
    { readonly owner: string; readonly deadline: string; readonly reaper: string } | null
  >
> = {
  QUEUED: {
    owner: "the queue",
    deadline: "none while it waits in turn; `shoal build why` says for what",
    reaper: "a person: cancel or reschedule",
  },
  BUILDING: {
    owner: "the builder with the lease",
    deadline: "`leaseMs` after its last heartbeat; the project's `timeoutMs` in the builder",
    reaper: "lease reaper: queued again with back-off, DEAD after `buildAttemptsMax`",
  },
  REPLICATING: {
    owner: "the replication watcher",
    deadline: "`replicationMs` after the publish",
    reaper: "replication watcher: FAILED, naming the regions that lack the artifact",
  },
  CANCELLING: {
    owner: "the builder with the lease, which kills and proves it",
    deadline: "`cancelMs` after the request",
    reaper: "cancel reaper: CANCELLED, and the lease is void",
  },
  SUCCEEDED: null,
  FAILED: null,
  CANCELLED: null,
  DEAD: null,
};

/** The states in which an event is allowed. */
export function statesBefore(event: BuildEvent): readonly BuildState[] {
  return buildStates.filter((state) => buildTransitions[state][event] !== undefined);
}

/** The one state that an event leads to, from wherever it is allowed. */
export function stateAfter(event: BuildEvent, from: BuildState): BuildState {
  const state = nextBuildState(from, event);
  assert(state !== null, `${event} isn't allowed in ${from}`);
  return state;
}

/** The state after an event, or null when the event isn't allowed in this state. */
export function nextBuildState(state: BuildState, event: BuildEvent): BuildState | null {
  return buildTransitions[state][event] ?? null;
}

export function isFinalBuildState(state: BuildState): boolean {
  return Object.keys(buildTransitions[state]).length === 0;
}
