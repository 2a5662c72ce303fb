// What limits a build's memory, processors and processes as a whole. cgroup.ts is the real one; where
// no control group can be written there is none, and rlimits and the usage watch stand in.
import type { BuildLimits } from "@shoal/api/control-plane";

export interface LimitGroup {
  /** A process joins by writing its pid into each. */
  readonly joinFiles: readonly string[];
  /** How many processes the kernel has killed for want of memory. */
  oomKillCount(): Promise<number>;
  /** Kills what is in the group until it is empty. Throws `processes_left` at the deadline. */
  kill(deadlineMs: number): Promise<void>;
  /** Removes the empty group. */
  remove(): Promise<void>;
}

export interface Limiter {
  readonly describe: string;
  create(id: string, limits: BuildLimits): Promise<LimitGroup>;
  /** Ends and removes groups that an earlier life of this builder left. */
  sweep(): Promise<void>;
  /** Removes what it made for itself; every build's group is gone by then. */
  close(): Promise<void>;
}
