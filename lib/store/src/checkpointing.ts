// Makes durable, now and then, what a fetch has brought: an agent that is killed goes on from there.
// By time, because a fetch may be slow; and at most a tenth of the time, because syncing costs speed.
import { setTimeout as sleep } from "node:timers/promises";
import { checkpointMs } from "@shoal/core/limits";
import type { ReleaseFiles } from "./release-files.ts";

/** Of a checkpoint's own duration, how long the next one waits at least. */
const pausesPerCheckpoint = 10;

export interface CheckpointDeps {
  readonly files: Pick<ReleaseFiles, "heldCount" | "checkpoint">;
  /** Resolves after the pause, or earlier when the signal is aborted. */
  readonly pause: (pauseMs: number, signal: AbortSignal) => Promise<void>;
}

/** Real time. */
export async function pauseFor(pauseMs: number, signal: AbortSignal): Promise<void> {
  await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
}

/** Runs until the signal is aborted. Never rejects: sealing makes the last checkpoint, and says what is wrong. */
export async function keepCheckpoints(
  { files, pause }: CheckpointDeps,
  signal: AbortSignal,
): Promise<void> {
  let recorded = files.heldCount;
  let pauseMs = checkpointMs;
  while (!signal.aborted) {
    await pause(pauseMs, signal);
    const held = files.heldCount;
    if (signal.aborted || held === recorded) continue;
    const startedAt = performance.now();
    await files.checkpoint().then(
      () => (recorded = held),
      () => undefined,
    );
    pauseMs = Math.max(checkpointMs, pausesPerCheckpoint * (performance.now() - startedAt));
  }
}
