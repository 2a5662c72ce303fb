// Writes what the goals of a service should say, wherever they don't: compares, signs, swaps. Safe to
// repeat at any time; a new region, a raised epoch and a new key are differences like any other.
import { canonicalJson } from "@shoal/core/canonical-json";
import { ShoalError } from "@shoal/core/error";
import type { Goal } from "@shoal/core/rollout/goal";
import { type GoalBody, type ServiceRelease, desiredGoal } from "@shoal/core/rollout/desired-goal";
import type { Authority } from "../authority.ts";
import type { Queries } from "../db/connection.ts";
import { findEnvironment, regionsOf } from "../db/environments.ts";
import { holdEpoch } from "../db/fleet.ts";
import { type StoredGoal, goalsOfService, swapGoal } from "../db/goals.ts";
import type { ServiceName } from "../db/services.ts";
import { notify } from "../db/wakeups.ts";

/** Order of a region's goal now: counts made with another one aren't about it. */
export type GoalOrders = ReadonlyMap<
  string,
  { readonly epoch: number; readonly generation: number }
>;

/**
 * Brings the goals of a locked service up to date in every region in service; answers the order of
 * those that belong to its environment.
 * A region that is out of service keeps its goals until it comes back.
 */
export async function writeGoals(
  queries: Queries,
  authority: Authority,
  name: ServiceName,
  service: ServiceRelease,
): Promise<GoalOrders> {
  const epoch = await holdEpoch(queries);
  const stored = new Map((await goalsOfService(queries, name)).map((goal) => [goal.region, goal]));
  const orders = new Map<string, StoredGoal>();
  let changed = false;
  const environment = await findEnvironment(queries, name.environment);
  const selector = { ...service.selector, ...environment?.selector };
  for (const { region, belongs } of await regionsOf(queries, name.environment)) {
    const before = stored.get(region);
    // A region that left the environment is told so; one that never was in it needs no goal.
    if (!belongs && before === undefined) continue;
    const desired = desiredGoal({ ...service, selector }, region);
    const body = belongs ? desired : { ...desired, ...nothing };
    const text = canonicalJson(body);
    const keyId = authority.goalKeyId;
    const same = before?.body === text && before.epoch === epoch && before.keyId === keyId;
    if (same) {
      if (belongs) orders.set(region, before);
      continue;
    }
    const generation = (before?.generation ?? 0) + 1;
    const goal = { region, epoch, generation, body: text, keyId };
    await replaceGoal(queries, authority, name, before ?? null, goal, body);
    if (belongs) orders.set(region, goal);
    changed = true;
  }
  if (changed) await notify(queries, "plan");
  return orders;
}

/** What a region's hosts run of a service that isn't theirs any more. */
const nothing: Pick<GoalBody, "prepare" | "run" | "fallback" | "switch"> = {
  prepare: [],
  run: null,
  fallback: null,
  switch: { type: "all" },
};

async function replaceGoal(
  queries: Queries,
  authority: Authority,
  name: ServiceName,
  before: StoredGoal | null,
  goal: StoredGoal,
  body: GoalBody,
): Promise<void> {
  const document: Goal = {
    ...body,
    format: "shoal.goal/v1",
    environment: name.environment,
    service: name.service,
    region: goal.region,
    epoch: goal.epoch,
    generation: goal.generation,
    issuedAt: new Date(authority.nowMs()).toISOString(),
  };
  const envelope = authority.signGoal(document);
  if (await swapGoal(queries, name, before, { ...goal, envelope })) return;
  throw new ShoalError("goal_conflict", "The goal was written by somebody else in between.", {
    blame: "environment",
    retryable: true,
  });
}
