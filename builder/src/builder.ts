// The builder's loop: ask for a lease, do the build, ask again. One build at a time; a machine that
// should do several runs several builders.
import type { Lease } from "@shoal/api/builder";
import type { Client } from "@shoal/api/client";
import type { Failure } from "@shoal/api/control-plane";
import { builderKeyUntrusted } from "@shoal/core/build/retry";
import { ShoalError } from "@shoal/core/error";
import { leaseAgainMs, longPollMsMax, retryPauseMsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { type Loop, startLoop } from "@shoal/daemon/loop";

export interface BuilderDeps {
  readonly client: Pick<Client["builder"], "lease">;
  readonly runAttempt: (lease: Lease, stopping: AbortSignal) => Promise<Failure | null>;
  readonly log: Pick<Log, "warn" | "debug">;
}

export interface BuilderConfig {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Starts taking builds. Stopping the loop ends the build that runs and waits for its end. */
export function startBuilder(deps: BuilderDeps, config: BuilderConfig): Loop {
  const { name, labels } = config;
  let untrusted: Failure | null = null;
  const run = async (signal: AbortSignal): Promise<void> => {
    // Otherwise it would end one build after the other.
    if (untrusted !== null) {
      throw new ShoalError(untrusted.code, untrusted.message, { blame: "environment" });
    }
    const input = { builder: name, labels, waitMs: longPollMsMax };
    const { lease } = await deps.client.lease(input, { signal });
    // A lease whose answer came while we stop is given back at once by the attempt itself.
    if (lease === null) return;
    const failure = await deps.runAttempt(lease, signal);
    if (failure?.code === builderKeyUntrusted) untrusted = failure;
  };
  return startLoop({
    name: "lease",
    intervalMs: leaseAgainMs,
    backoffMsMax: retryPauseMsMax,
    run,
    log: deps.log,
  });
}
