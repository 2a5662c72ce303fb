// What the exit status of every `shoal` command means. README.md repeats this table for people.

export const exitCodes = {
  ok: 0,
  /** What was asked for was done and ended badly: a failed build, a halted rollout. */
  failed: 1,
  /** The command line or a configuration is wrong; nothing was done. */
  usage: 2,
  /** The control plane or another process couldn't be reached, or answered with an error. */
  unavailable: 3,
} as const;
