// Where the processes' programs are. Nobody imports another room's process: its main.ts is run.
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export type Room = "control-plane" | "builder" | "seeder" | "host-agent";

/**
 * What a process is started with in its environment, unless the operator has it there already.
 *
 * One arena for all threads of the C library's allocator: with one for each thread, chunks that one thread
 * takes and another gives back leave 100 MiB of a seeder's memory unused and resident (768 MiB of an artifact
 * through a seeder: 438 MiB at most, and 358 with one, 2026-11-30).
 *
 * Where compiled modules are kept, if this process keeps them: an agent starts with a third less work then.
 */
export function roomEnvironment(): Readonly<Record<string, string>> {
  // Each version of the runtime has its own folder in it.
  const folder = getCompileCacheDir();
  const cache = folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
  return { MALLOC_ARENA_MAX: "1", ...cache };
}

/**
 * What the runtime is told, before the process's main file. Half of the young generation that it takes by
 * itself: a process that moves much and keeps little fills all of it, and a builder's verifying or an
 * agent's fetching is no slower with less. And a heap that may be twice what is in use before it is collected:
 * by itself the runtime lets it grow by a third, of which an agent's 36 MiB leave less than the young generation
 * may fill, so that one collection of everything followed the other while it fetched (12 to 20 of them for
 * 512 MiB, a fifth of all processor time; 5 to 7 since, 2026-11-30).
 *
 * The same for memory outside of the heap: by itself the runtime marks everything whenever 64 MiB more of it have come
 * and gone, which chunks do twice a second while a build is published (1 GiB through builder and seeder: 69
 * collections; 18 since). With a factor of 2, the region's second seeder came to 411 MiB for 10 GiB, with 1.3 to 375.
 */
export const runtimeFlags: readonly string[] = [
  "--max-semi-space-size=8",
  "--heap-growing-percent=100",
  "--external-memory-accounted-in-global-limit",
  "--external-memory-max-growing-factor=1.3",
];

/** Path of a process's main file. */
export function roomMain(room: Room): string {
  return fileURLToPath(new URL(`../../../${room}/src/main.ts`, import.meta.url));
}
