// The log of the attempt that runs: appends by its builder, and lines of our own.
import { ShoalError } from "@shoal/core/error";
import { logBytesMax } from "@shoal/core/limits";
import { type LogAttempt, addToLog, lockLog, newestLog } from "../db/build-logs.ts";
import type { LeaseProof } from "../db/build-queue.ts";
import { type Queries, inTransaction } from "../db/connection.ts";
import type { Wakeups } from "../db/wakeups.ts";
import { type RefusalDeps, requireToldBefore } from "./refused-call.ts";

/** Appends to the attempt's log; what was appended before is ignored, a gap is refused. */
export async function appendLog(
  deps: RefusalDeps & { readonly wakeups: Wakeups },
  lease: LeaseProof,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  const { build } = lease;
  const appended = await inTransaction(deps.database, async (queries) => {
    const log = await lockLog(queries, lease);
    if (log === null) return false;
    if (offset > log.received) {
      const message = `The log goes on at ${log.received}, not at ${offset}.`;
      const details = { expected: log.received };
      throw new ShoalError("log_gap", message, { blame: "remote", details });
    }
    await keepLog(queries, build, log, bytes.subarray(log.received - offset));
    return true;
  });
  if (!appended) await requireToldBefore(deps, lease, "log", null);
  deps.wakeups.ring(`log:${build}`);
}

/** A line of our own at the end of the newest attempt's log. */
export async function noteInLog(queries: Queries, id: number, text: string): Promise<void> {
  const log = await newestLog(queries, id);
  // One line may go beyond the limit, so that a log that was cut says how it ended.
  if (log !== null) await addToLog(queries, id, log, 0, Buffer.from(`\n[shoal] ${text}\n`));
}

async function keepLog(
  queries: Queries,
  id: number,
  log: LogAttempt,
  bytes: Uint8Array,
): Promise<void> {
  if (bytes.length === 0) return;
  const room = Math.max(0, logBytesMax - log.kept);
  await addToLog(queries, id, log, bytes.length, bytes.subarray(0, room));
}
