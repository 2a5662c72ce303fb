// Where the processes' programs are. Nobody imports another room's process: its main.ts is run.
import { fileURLToPath } from "node:url";

export type Room = "control-plane" | "builder" | "seeder" | "host-agent";

/**
 * What a process is started with in its environment, unless the operator has it there already: one arena
 * for all threads of the C library's allocator. With one for each thread, chunks that one thread takes
 * and another gives back leave 100 MiB of a seeder's memory unused and resident (768 MiB of an artifact
 * through a seeder: 438 MiB at most, and 358 with one, 2026-11-30).
 */
export const roomEnvironment: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: "1" };

/**
 * What the runtime is told, before the process's main file. Half of the young generation that it takes by
 * itself: a process that moves much and keeps little fills all of it, and a builder's verifying or an
 * agent's fetching is no slower with less.
 */
export const runtimeFlags: readonly string[] = ["--max-semi-space-size=8"];

/** Path of a process's main file. */
export function roomMain(room: Room): string {
  return fileURLToPath(new URL(`../../../${room}/src/main.ts`, import.meta.url));
}
