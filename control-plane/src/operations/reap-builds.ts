// What happens to builds when nobody calls: builders fall silent, cancels get overdue, regions get
// hold of artifacts or don't. Each end is one statement that looks again by itself, so that several
// control planes may do this at once.
import { nextBuildState } from "@shoal/core/build/state";
import { leaseMs } from "@shoal/core/limits";
import { regionsMissing } from "../db/artifacts.ts";
import { lockBuild, moveBuild } from "../db/build-queue.ts";
import { type Database, inTransaction } from "../db/connection.ts";
import { endReplicated, overdueCancels, overdueReplications, silentLeases } from "../db/overdue.ts";
import type { Wakeups } from "../db/wakeups.ts";
import { giveUpOn } from "./end-attempt.ts";
import type { QueueCalls } from "./queue-calls.ts";

export interface ReapDeps {
  readonly database: Database;
  readonly calls: QueueCalls;
  readonly wakeups: Wakeups;
}

/** Most builds of each kind that one round looks at; the next round goes on. */
const buildsPerRound = 200;

/** Queues builds again whose builder wasn't heard of, or ends them; answers how many. */
export async function reapLeases(deps: ReapDeps, silentForMs: number = leaseMs): Promise<number> {
  const silent = await silentLeases(deps.database, silentForMs, buildsPerRound);
  for (const held of silent) {
    const message = `its builder ${held.builder} wasn't heard of and has lost the lease`;
    const failure = { code: "lease_expired", message, blame: "system" } as const;
    await giveUpOn(deps, held, failure, silentForMs);
    deps.wakeups.ring(`log:${held.build}`);
  }
  return silent.length;
}

/** Ends builds that were cancelled and whose builder didn't prove it; their lease is void. */
export async function reapCancels(deps: ReapDeps): Promise<number> {
  const overdue = await overdueCancels(deps.database, buildsPerRound);
  for (const held of overdue) {
    const end = { event: "cancelDeadline", outcome: "cancelOverdue" } as const;
    await deps.calls.end({ ...held, holder: null }, end);
    deps.wakeups.ring(`log:${held.build}`);
  }
  return overdue.length;
}

/** Ends builds that every region holds by now, and those whose time for it is over. */
export async function watchReplication(deps: ReapDeps): Promise<number> {
  const whole = await endReplicated(deps.database, buildsPerRound);
  for (const id of whole) deps.wakeups.ring(`log:${id}`);
  const overdue = await overdueReplications(deps.database, buildsPerRound);
  for (const id of overdue) {
    await failReplication(deps.database, id);
    deps.wakeups.ring(`log:${id}`);
  }
  return whole.length + overdue.length;
}

async function failReplication(database: Database, id: number): Promise<void> {
  await inTransaction(database, async (queries) => {
    const locked = await lockBuild(queries, id);
    if (locked?.artifact == null || !locked.overdue) return;
    const missing = await regionsMissing(queries, locked.artifact);
    const state = nextBuildState(
      locked.state,
      missing.length === 0 ? "replicated" : "replicationDeadline",
    );
    if (state === null) return;
    const message = `these regions didn't get hold of it in time: ${missing.join(", ")}`;
    const failure = { code: "replication_deadline", message, blame: "system" } as const;
    await moveBuild(queries, id, { state, failure: missing.length === 0 ? null : failure });
  });
}
