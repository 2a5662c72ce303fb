// The variables that a command was started with. main.ts has the real ones; everything else is handed them.

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where programs are looked for: PATH, or the usual folders where there is none. */
export function searchPath(environment: Environment): string {
  const path = environment["PATH"];
  return path === undefined || path === "" ? "/usr/local/bin:/usr/bin:/bin" : path;
}
