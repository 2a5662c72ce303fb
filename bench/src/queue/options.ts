// Settings of `bench queue`, and the log of what it starts: none.
export interface QueueOptions {
  readonly builders: number;
  readonly builds: number;
  readonly jobs: number;
  readonly runs: number;
  readonly connections: number;
  readonly chaos?: boolean;
  readonly json?: boolean;
}

export const quiet = { info: () => undefined, warn: () => undefined };
