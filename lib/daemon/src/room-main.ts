// Where the processes' programs are. Nobody imports another room's process: its main.ts is run.
import { fileURLToPath } from "node:url";

export type Room = "control-plane" | "builder" | "seeder" | "host-agent";

/** Path of a process's main file. */
export function roomMain(room: Room): string {
  return fileURLToPath(new URL(`../../../${room}/src/main.ts`, import.meta.url));
}
