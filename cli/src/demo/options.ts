// What can be said to `shoal demo`.

export interface DemoOptions {
  /** Host agents over all regions, at least one for each. */
  readonly hosts: number;
  readonly regions: number;
  /** Many small services instead of one program in three versions; null for not. */
  readonly services: number | null;
  /** Print one JSON object as the last line of standard output instead of the tables. */
  readonly json: boolean;
  /** Leave everything running and print what to try next. */
  readonly keep: boolean;
  /** Whether chunks go unencrypted. */
  readonly plain: boolean;
  /** Where state lives; null for a new temporary folder that is removed at the end. */
  readonly dir: string | null;
  /** PATH for git and for every process that is started. */
  readonly searchPath: string;
  /** Somebody's own project instead of the example. */
  readonly own: OwnProject | null;
}

export interface OwnProject {
  /** Path or URL of a git repository. */
  readonly repo: string;
  /** Full commit id. */
  readonly commit: string;
  readonly build: string;
  readonly artifact: string;
  readonly run: string | undefined;
  readonly health: string | undefined;
  /** Run before the build, with network to `prepareHosts` alone; empty there means none. */
  readonly prepare: string | undefined;
  readonly prepareHosts: readonly string[];
  /** Paths in the repository; empty: the usual ones at its top. */
  readonly lockFiles: readonly string[];
}

export const demoLimits = { hostsMax: 200, regionsMax: 10, servicesMax: 100 } as const;
