// Our side of the content benchmarks as a program, started for one action.
import { fileURLToPath } from "node:url";
import { runTimed, type Timed } from "./timed.ts";

/** Our side as a program. */
export const shoalRun: string = fileURLToPath(new URL("./shoal-run/main.ts", import.meta.url));

export interface ShoalRun {
  readonly timed: Timed;
  readonly answer: Readonly<Record<string, unknown>>;
}

/** Runs one action of our side as a process of its own. */
export async function runShoal(...args: readonly string[]): Promise<ShoalRun> {
  const timed = await runTimed(process.execPath, [shoalRun, ...args]);
  const answer: Readonly<Record<string, unknown>> = JSON.parse(timed.stdout);
  return { timed, answer };
}
