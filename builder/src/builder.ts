// The builder's loop: ask for a lease, do the build, ask again. One build at a time; a machine that
// should do several runs several builders.
import type { BuilderLoad, Lease } from "@shoal/api/builder";
import type { Client } from "@shoal/api/client";
import type { Failure } from "@shoal/api/control-plane";
import { builderKeyUntrusted } from "@shoal/core/build/retry";
import { ShoalError } from "@shoal/core/error";
import { drainToldMsMax, leaseAgainMs, longPollMsMax, retryPauseMsMax } from "@shoal/core/limits";
import type { Log } from "@shoal/daemon/log";
import { startLoop } from "@shoal/daemon/loop";

export interface BuilderDeps {
  readonly client: Pick<Client["builder"], "lease" | "drain">;
  readonly runAttempt: (lease: Lease, stopping: AbortSignal) => Promise<Failure | null>;
  /** What is told of the machine with each question for work. */
  readonly load: () => Promise<BuilderLoad>;
  readonly log: Pick<Log, "warn" | "debug">;
}

export interface BuilderConfig {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Builder {
  /** Takes no more builds; resolves when the one that runs has ended. */
  drain(): Promise<void>;
  /** Ends the build that runs and waits for its end. Idempotent. */
  stop(): Promise<void>;
}

/** Starts taking builds. */
export function startBuilder(deps: BuilderDeps, config: BuilderConfig): Builder {
  const { name, labels } = config;
  let untrusted: Failure | null = null;
  const draining = new AbortController();
  /** The question for work that is under way; resolves with the attempt that came of it. */
  let asked: Promise<{ readonly attempt: Promise<unknown> | null }> = nothingCame;
  const run = async (signal: AbortSignal): Promise<void> => {
    if (draining.signal.aborted) return;
    // Otherwise it would end one build after the other.
    if (untrusted !== null) {
      throw new ShoalError(untrusted.code, untrusted.message, { blame: "environment" });
    }
    const input = { builder: name, labels, load: await deps.load(), waitMs: longPollMsMax };
    const asking = AbortSignal.any([signal, draining.signal]);
    const asks = deps.client.lease(input, { signal: asking }).then(({ lease }) =>
      // A lease whose answer came while we stop is given back at once by the attempt itself.
      ({ attempt: lease === null ? null : deps.runAttempt(lease, signal) }),
    );
    asked = asks.catch(() => nothingCame);
    const { attempt } = await asks;
    const failure = await attempt;
    if (failure?.code === builderKeyUntrusted) untrusted = failure;
  };
  /** Says that no more builds are taken. A lease whose answer was lost on the way is free at once. */
  const tell = async (idle: boolean): Promise<void> => {
    const signal = AbortSignal.timeout(drainToldMsMax);
    const input = { builder: name, ...(idle ? { idle } : {}) };
    await deps.client.drain(input, { signal }).catch((error: unknown) => {
      deps.log.debug({ error }, "the control plane wasn't told that this builder ends");
    });
  };
  const loop = startLoop({
    name: "lease",
    intervalMs: leaseAgainMs,
    backoffMsMax: retryPauseMsMax,
    run,
    log: deps.log,
  });
  return {
    drain: async () => {
      draining.abort(new ShoalError("stopping", "The builder is draining.", { blame: "local" }));
      const { attempt } = await asked;
      await tell(attempt === null);
      await attempt?.catch(() => undefined);
    },
    stop: async () => {
      await loop.stop();
      if (!draining.signal.aborted) await tell(true);
    },
  };
}

const nothingCame = Promise.resolve({ attempt: null });
