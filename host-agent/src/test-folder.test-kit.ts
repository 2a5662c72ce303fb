// A folder for one test, gone with it; a log without words; and waiting for a condition with a deadline.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createLog, type Log } from "@shoal/daemon/log";
import { onTestFinished } from "vitest";

/** A log that says nothing. */
export const silentLog: Log = createLog("agent", "silent");

/** Everybody may enter it, as programs of another user must. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-agent-"));
  await chmod(folder, 0o755);
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The first answer that isn't undefined, null or false. */
export async function eventually<Answer>(
  ask: () => Answer | Promise<Answer>,
  timeoutMs = 10_000,
): Promise<NonNullable<Answer>> {
  const deadlineAt = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadlineAt) throw new Error("it didn't happen in time");
    await sleep(5);
  }
}
