// Waiting for a condition under a deadline, and saying what was seen last when it is over.
import { ShoalError } from "@shoal/core/error";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 50;

/**
 * Asks until `look` answers something other than null or undefined. What it throws counts as "not
 * yet" when it can be tried again, and is told when the time is over.
 */
export async function waitFor<Found>(
  what: string,
  deadlineMs: number,
  look: () => Promise<Found | null | undefined>,
): Promise<Found> {
  const untilMs = performance.now() + deadlineMs;
  let last = "nothing";
  for (;;) {
    try {
      const found = await look();
      if (found !== null && found !== undefined) return found;
    } catch (error) {
      if (!(error instanceof ShoalError) || !error.retryable) throw error;
      last = String(error);
    }
    if (performance.now() > untilMs)
      throw new Error(`waited ${deadlineMs} ms in vain for ${what}; the last error: ${last}`);
    await sleep(pollMs);
  }
}
