// Checks a program's health again and again, one check at a time, until it is told to stop.
import { setTimeout as sleep } from "node:timers/promises";
import type { RunSpec } from "@shoal/core/rollout/release";
import { checkHealth, type HealthResult, type HealthTarget } from "./health.ts";

export interface HealthWatch {
  /** No result is told after this. Idempotent. */
  stop(): void;
}

/** The first check is made at once. A release without a health check is never checked. */
export function watchHealth(
  run: RunSpec,
  target: HealthTarget,
  onResult: (result: HealthResult) => void,
): HealthWatch {
  const controller = new AbortController();
  if (run.health.type !== "none") void checkUntilStopped(run, target, onResult, controller.signal);
  return { stop: () => controller.abort() };
}

async function checkUntilStopped(
  run: RunSpec,
  target: HealthTarget,
  onResult: (result: HealthResult) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const result = await checkHealth(run, target, signal);
    if (signal.aborted) return;
    onResult(result);
    await sleep(run.health.intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
