// The words between the rollout engine and its driver: what it is told, what it orders, and the state
// that is kept in the database between two calls. Plain JSON throughout.
import type { HostId } from "../ids.ts";
import type { Millis } from "../units.ts";
import type { SwitchRule } from "./goal.ts";

/** How many more reporting hosts a rule with this share would open. */
export interface Rung {
  readonly hosts: number;
  readonly share: number;
}

/** Sums over one region's hosts that the service's selector takes, as its seeders counted them. */
export interface RegionCounts {
  readonly region: string;
  /**
   * Whether seeders that were heard of lately made them with the goal that was written last. Counts
   * that aren't current say how many hosts there were, and nothing about this wave.
   */
  readonly current: boolean;
  readonly reporting: number;
  readonly silent: number;
  /** Of the reporting and of the silent ones: those that the goal allows to switch. */
  readonly open: number;
  readonly openSilent: number;
  /** Reporting hosts, first in the order of the rollout's salt; at most `switchHostsMax`. */
  readonly firstHosts: readonly HostId[];
  /** Rising in hosts and share, from one host to all that aren't open yet; empty when all are. */
  readonly ladder: readonly Rung[];
  /** Of the rollout's release. `failed` and `healthy` have no host in common. */
  readonly holding: number;
  readonly running: number;
  readonly healthy: number;
  readonly failed: number;
}

export type RolloutInput =
  /** Occurs whenever there is something new to know: every in-service region, each once. */
  | { readonly type: "reported"; readonly regions: readonly RegionCounts[] }
  /** Occurs at or after `nextDeadline`; harmless at any other time. */
  | { readonly type: "deadline" }
  /** Occurs when something that goes first takes the service over, or a person gives it up. */
  | { readonly type: "superseded"; readonly reason: string }
  /** Occurs when a person wants it to open nobody for now. */
  | { readonly type: "held"; readonly by: string; readonly reason: string }
  /** Occurs when a person lets it go on. */
  | { readonly type: "released" };

/** In the order in which they must be carried out, all of them together with saving the state. */
export type RolloutOutput =
  /** `ruleOf` answers something new for some region: write the goals. */
  | { readonly type: "rulesChanged" }
  /** The release must not be deployed again until a person allows it. */
  | { readonly type: "quarantined"; readonly reason: string }
  /** Nothing will change anymore. */
  | {
      readonly type: "ended";
      readonly phase: "SUCCEEDED" | "FAILED" | "ABORTED";
      readonly reason: string;
    };

export type RolloutPhase = "PREPARING" | "SWITCHING" | "SUCCEEDED" | "FAILED" | "ABORTED";

/** One wave of the plan: how many of how many hosts, when the plan was made. */
export interface Wave {
  readonly hosts: number;
  /** Of each region's hosts; 1 for the last wave. */
  readonly share: number;
}

export interface RolloutState {
  readonly format: 2;
  readonly kind: "deploy" | "rollback";
  /** Goes through waves: every deploy, and a rollback that was asked to. */
  readonly staged: boolean;
  readonly salt: string;
  readonly phase: RolloutPhase;
  /** It waits for something that time alone doesn't bring; only while PREPARING or SWITCHING. */
  readonly paused: boolean;
  /** Who wants it to open nobody for now, or null. */
  readonly held: { readonly by: string; readonly reason: string } | null;
  /** The region whose turn it is, or null while all go together. */
  readonly region: string | null;
  /** Regions that had their turn: all of their hosts may run the release. */
  readonly regionsDone: readonly string[];
  /** Empty while PREPARING. */
  readonly plan: readonly Wave[];
  /** 0 <= wave < plan.length, but 0 while PREPARING. */
  readonly wave: number;
  /** Everybody may, everywhere. Stays true. */
  readonly openToAll: boolean;
  /** What each region's hosts may do; a region that isn't listed may do nothing. Never shrinks. */
  readonly rules: Readonly<Record<string, SwitchRule>>;
  /** How many reporting hosts each region's rule opened, as far as was known then. */
  readonly opened: Readonly<Record<string, number>>;
  /** How many hosts of each region were ever known: fewer means that a seeder starts anew. */
  readonly known: Readonly<Record<string, number>>;
  /** When the phase or wave began, or the wave last opened hosts. */
  readonly sinceMs: Millis;
  /** When the wave was first seen finished, or null. */
  readonly doneSinceMs: Millis | null;
  /** When every region's counts were last current. */
  readonly dataMs: Millis;
  /** Since when no region had a host, or null. */
  readonly emptySinceMs: Millis | null;
  /** Silent hosts of the regions in turn when their first wave opened: dead before, they prove nothing. */
  readonly silentBefore: number;
  /** Never decreases. */
  readonly nowMs: Millis;
  /** What it waits for, or why it ended, for a person. */
  readonly reason: string;
}
