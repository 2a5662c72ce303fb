// What people and rules do to a service's rollout: one after the other, under the service's lock, with
// the goals that follow from it in the same transaction.
import type { Rollout as RolloutView } from "@shoal/api/control-plane";
import { type Queries, inTransaction } from "../db/connection.ts";
import { type StoredRollout, findRollout, newestRollout } from "../db/rollouts.ts";
import { type LockedService, type ServiceName, lockService } from "../db/services.ts";
import { notify } from "../db/wakeups.ts";
import { type DriveDeps, driveLocked } from "./drive-service.ts";
import { notFound } from "./not-found.ts";

export type LockedWork = (
  queries: Queries,
  service: LockedService,
  newest: StoredRollout | null,
) => Promise<number>;

/** Runs `work`, which answers the id of a rollout, takes a look at that, and answers it. */
export async function underLock(
  deps: DriveDeps,
  name: ServiceName,
  work: LockedWork,
): Promise<RolloutView> {
  return inTransaction(deps.database, async (queries) => {
    const service = await lockService(queries, name);
    if (service === null) throw notFound("service", `${name.environment}/${name.service}`);
    const id = await work(queries, service, await newestRollout(queries, name));
    // Read again: a rollback has changed what the service runs.
    const changed = await lockService(queries, name);
    if (changed !== null) await driveLocked(queries, deps, name, changed);
    await notify(queries, "rollouts");
    const rollout = await findRollout(queries, id);
    if (rollout === null) throw notFound("rollout", id);
    return rollout;
  });
}
