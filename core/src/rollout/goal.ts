// A goal: what one service should run in one region, ordered by (epoch, generation). Signed as a
// DSSE envelope around JSON; lib/trust signs and verifies it, lib/api decodes it strictly.
import type { HostId } from "../ids.ts";
import type { Release } from "./release.ts";

/** Which hosts may run `run` now. Everyone else runs `fallback`, or nothing where that is null. */
export type SwitchRule =
  | { readonly type: "none" }
  | { readonly type: "hosts"; readonly hosts: readonly HostId[] }
  /** Hosts whose `hostShare(salt, id)` is below `share`, 0 … 1, and those named when the wave was smaller. */
  | { readonly type: "share"; readonly share: number; readonly hosts: readonly HostId[] }
  | { readonly type: "all" };

export interface Goal {
  readonly format: "shoal.goal/v1";
  readonly environment: string;
  readonly region: string;
  readonly service: string;
  /** Rises when the database was restored; a goal of an older epoch is refused. */
  readonly epoch: number;
  /** Rises with every change within an epoch. */
  readonly generation: number;
  /** The rollout that wrote this goal, or null. A host that failed a release in a rollout doesn't try it again in the same one. */
  readonly rollout: number | null;
  /** Releases to have on disk, verified, and not yet run. */
  readonly prepare: readonly Release[];
  readonly run: Release | null;
  /** Kept on disk; a host whose health check fails goes back to it by itself. */
  readonly fallback: Release | null;
  readonly switch: SwitchRule;
  /** Decides the order in which hosts switch; changes with every rollout. */
  readonly salt: string;
  /** Hosts that have all these labels run the service. */
  readonly selector: Readonly<Record<string, string>>;
  /** RFC 3339 UTC, for people. Order comes from epoch and generation alone. */
  readonly issuedAt: string;
}

/** Negative when a is older than b, 0 when they are the same goal, positive when a is newer. */
export function compareGoalOrder(
  a: { readonly epoch: number; readonly generation: number },
  b: { readonly epoch: number; readonly generation: number },
): number {
  return a.epoch === b.epoch ? a.generation - b.generation : a.epoch - b.epoch;
}
