// Gives memory back once nothing has been fetched or served for a while: an agent waits most of its life,
// beside programs that need the memory more.
import { restMs } from "@shoal/core/limits";
import type { Millis } from "@shoal/core/units";

export interface RestingDeps {
  readonly isFetching: () => boolean;
  /** Bytes sent to peers so far. */
  readonly sentBytes: () => number;
  readonly giveBack: () => void;
}

/** Looks every `everyMs`; answers how to stop. */
export function startResting(deps: RestingDeps, everyMs: Millis = restMs): () => void {
  // Starting is work, too.
  let wasBusy = true;
  let sentBytes = deps.sentBytes();
  const timer = setInterval(() => {
    const before = sentBytes;
    sentBytes = deps.sentBytes();
    if (deps.isFetching() || sentBytes !== before) {
      wasBusy = true;
      return;
    }
    if (wasBusy) deps.giveBack();
    wasBusy = false;
  }, everyMs);
  return () => clearInterval(timer);
}
