// Rollouts: the engine's state between two looks, and what it saw last.
import type { RolloutState } from "@shoal/core/rollout/rollout-events";
import { type Rollout, releaseCounts, rollout as rolloutSchema } from "@shoal/api/control-plane";
import { release as releaseSchema } from "@shoal/api/release";
import { ShoalError } from "@shoal/core/error";
import type { Release } from "@shoal/core/rollout/release";
import { isEnded, readRolloutState } from "@shoal/core/rollout/rollout-state";
import { z } from "zod";
import type { Queries } from "./connection.ts";
import { type Page, type PageQuery, idKey, pageOf, readCursor } from "./page.ts";
import type { ServiceName } from "./services.ts";

/** The sums that the engine judged last. */
const seenSchema = z.strictObject({
  hosts: z.number(),
  hostsOpen: z.number(),
  counts: releaseCounts,
});
export type Seen = z.infer<typeof seenSchema>;

export interface StoredRollout {
  readonly id: number;
  readonly release: Release;
  readonly state: RolloutState;
}

export async function insertRollout(
  queries: Queries,
  name: ServiceName,
  rollout: {
    readonly kind: "deploy" | "rollback";
    readonly release: string;
    readonly previous: string | null;
    readonly state: RolloutState;
    /** Who asked for it. */
    readonly by: string;
  },
): Promise<number> {
  const ended = isEnded(rollout.state);
  const [row] = await queries<{ id: number }[]>`
    insert into rollouts
      (environment, service, kind, release, previous, engine, ended_at, succeeded, by)
    values (${name.environment}, ${name.service}, ${rollout.kind}, ${rollout.release},
      ${rollout.previous}, ${queries.json(rollout.state as never)},
      case when ${ended} then now() end, ${ended ? rollout.state.phase === "SUCCEEDED" : null},
      ${rollout.by})
    returning id`;
  if (row === undefined) throw new ShoalError("assertion_failed", "no id", { blame: "local" });
  return row.id;
}

/** The newest rollout of a locked service, ended or not. */
export async function newestRollout(
  queries: Queries,
  name: ServiceName,
): Promise<StoredRollout | null> {
  const [row] = await queries<{ id: number; engine: unknown; body: unknown }[]>`
    select o.id, o.engine, r.body from rollouts o
    join releases r on r.environment = o.environment and r.service = o.service and r.id = o.release
    where o.environment = ${name.environment} and o.service = ${name.service}
    order by o.id desc limit 1`;
  if (row === undefined) return null;
  return { id: row.id, release: releaseSchema.parse(row.body), state: stateOf(row.engine) };
}

/** Saves what the engine made of a rollout of a locked service. */
export async function saveRollout(
  queries: Queries,
  id: number,
  state: RolloutState,
  seen: Seen | null,
): Promise<void> {
  const ended = isEnded(state);
  await queries`
    update rollouts set engine = ${queries.json(state as never)},
      seen = coalesce(${seen === null ? null : queries.json(seen)}, seen),
      ended_at = case when ${ended} then coalesce(ended_at, now()) end,
      succeeded = ${ended ? state.phase === "SUCCEEDED" : null}
    where id = ${id}`;
}

/** Services with a rollout under way. */
export async function servicesRollingOut(queries: Queries): Promise<ServiceName[]> {
  return queries<ServiceName[]>`
    select environment, service from rollouts where ended_at is null order by id`;
}

export async function findRollout(queries: Queries, id: number): Promise<Rollout | null> {
  const [rollout] = await selectRollouts(queries, queries`o.id = ${id}`, 1);
  return rollout ?? null;
}

/** The newest first. */
export async function listRollouts(queries: Queries, query: PageQuery): Promise<Page<Rollout>> {
  const [before = 2_147_483_647] = readCursor(query.cursor, idKey) ?? [];
  const rollouts = await selectRollouts(queries, queries`o.id < ${before}`, query.limit + 1);
  return pageOf(
    rollouts,
    query.limit,
    (rollout) => [rollout.id],
    (rollout) => rollout,
  );
}

interface RolloutRow extends Record<string, unknown> {
  readonly engine: unknown;
  readonly seen: unknown;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

async function selectRollouts(
  queries: Queries,
  where: ReturnType<Queries>,
  limit: number,
): Promise<Rollout[]> {
  const rows = await queries<RolloutRow[]>`
    select o.id, o.environment, o.service, o.kind, o.engine, o.seen, r.body as release,
      p.body as previous, o.by, o.created_at as "createdAt", o.ended_at as "endedAt"
    from rollouts o
    join releases r on r.environment = o.environment and r.service = o.service and r.id = o.release
    left join releases p
      on p.environment = o.environment and p.service = o.service and p.id = o.previous
    where ${where} order by o.id desc limit ${limit}`;
  return rows.map(rolloutOf);
}

function rolloutOf(row: RolloutRow): Rollout {
  const { engine, seen: seenJson, createdAt, endedAt, ...rest } = row;
  const state = stateOf(engine);
  const seen = seenJson === null ? null : seenSchema.parse(seenJson);
  return rolloutSchema.parse({
    ...rest,
    state: state.paused ? "PAUSED" : state.phase,
    region: state.region,
    wave: state.wave,
    waves: state.plan.length,
    hostsOpen: seen?.hostsOpen ?? 0,
    hosts: seen?.hosts ?? 0,
    counts: seen?.counts ?? null,
    reason: state.reason,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  });
}

function stateOf(json: unknown): RolloutState {
  const state = readRolloutState(json);
  if (state !== null) return state;
  throw new ShoalError("rollout_state_unknown", "A rollout was left by another version of Shoal.", {
    blame: "local",
    hint: "Let that version finish it, or roll back.",
  });
}
