// Settings of `bench queue`, and the log of what it starts: none.
export interface QueueOptions {
  readonly builders: number;
  readonly builds: number;
  readonly jobs: number;
  readonly runs: number;
  readonly connections: number;
  readonly chaos?: boolean;
  /** Builds in the table; absent: another measurement. */
  readonly rows?: number;
  /** Seconds for which a snapshot is held open; absent: another measurement. */
  readonly snapshot?: number;
  /** Megabytes of a log; absent: another measurement. */
  readonly log?: number;
  readonly json?: boolean;
}

export const quiet = { info: () => undefined, warn: () => undefined };
