// The builder's loop: ask for a lease, do the build, ask again. One build at a time; a machine that
// should do several runs several builders.
import type { Lease } from "@shoal/api/builder";
import type { Client } from "@shoal/api/client";
import { leaseAgainMs, longPollMsMax, retryPauseMsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { type Loop, startLoop } from "@shoal/daemon/loop";

export interface BuilderDeps {
  readonly client: Pick<Client["builder"], "lease">;
  readonly runAttempt: (lease: Lease, stopping: AbortSignal) => Promise<void>;
  readonly log: Log;
}

export interface BuilderConfig {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Starts taking builds. Stopping the loop ends the build that runs and waits for its end. */
export function startBuilder(deps: BuilderDeps, config: BuilderConfig): Loop {
  const { name, labels } = config;
  const run = async (signal: AbortSignal): Promise<void> => {
    const input = { builder: name, labels, waitMs: longPollMsMax };
    const { lease } = await deps.client.lease(input, { signal });
    // A lease whose answer came while we stop is given back at once by the attempt itself.
    if (lease !== null) await deps.runAttempt(lease, signal);
  };
  return startLoop({
    name: "lease",
    intervalMs: leaseAgainMs,
    backoffMsMax: retryPauseMsMax,
    run,
    log: deps.log,
  });
}
