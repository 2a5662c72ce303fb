// A seeder asks whether who pushes to it still has the build's lease; one that hasn't is refused and
// counted like every late call.
import { leaseAlive } from "../db/build-queue.ts";
import { type RefusalDeps, requireToldBefore } from "./refused-call.ts";

/** Throws `fence_stale`, `not_found` or `database_unavailable`. */
export async function checkLease(deps: RefusalDeps, build: number, fence: string): Promise<void> {
  const lease = { build, fence, holder: null };
  if (await leaseAlive(deps.database, lease)) return;
  await requireToldBefore(deps, lease, "ingest", null);
}
