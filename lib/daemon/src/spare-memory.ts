// Gives memory back to the system. The runtime keeps what it once took, for the next time: a process that
// has started, or moved an artifact, and then waits for hours would hold some 40 MiB for nothing.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage and returns free memory; stops the process for some 200 ms. */
export function giveBackMemory(): void {
  // The only way to ask for it: the collector's own function isn't there without the flag.
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") {
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
  }
}
