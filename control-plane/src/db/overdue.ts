// Builds that nobody moves on any more: silent builders, overdue cancels, artifacts that arrived.
import { stateAfter, statesBefore } from "@shoal/core/build/state";
import type { Queries } from "./connection.ts";

export interface HeldBuild {
  readonly build: number;
  readonly fence: string;
  readonly attempt: number;
  readonly builder: string;
  readonly holder: string;
}

/**
 * Leases of builders that were silent for this long. Whoever ends one looks again. Builds are looked up
 * one by one: a join would read all that there are, when Postgres thinks that many leases are silent.
 */
export async function silentLeases(
  queries: Queries,
  silentForMs: number,
  limit: number,
): Promise<HeldBuild[]> {
  return queries<HeldBuild[]>`
    select l.build, l.fence::text, l.builder, l.holder,
      (select b.attempt from builds b where b.id = l.build) as attempt
    from (select * from leases where beat_at < now() - ${silentForMs} * interval '1 millisecond'
      order by beat_at limit ${limit}) l`;
}

/** What a builder holds; it has at most one build. */
export async function leaseOfBuilder(queries: Queries, builder: string): Promise<HeldBuild | null> {
  const [row] = await queries<HeldBuild[]>`
    select l.build, l.fence::text, b.attempt, l.builder, l.holder from leases l join builds b on b.id = l.build
    where l.builder = ${builder}`;
  return row ?? null;
}

/** Cancelled builds whose builder didn't prove it in time, with the lease that they still have. */
export async function overdueCancels(queries: Queries, limit: number): Promise<HeldBuild[]> {
  return queries<HeldBuild[]>`
    select b.id as build, l.fence::text, b.attempt, l.builder, l.holder
    from builds b join leases l on l.build = b.id
    where b.state = 'CANCELLING' and b.deadline_at < now() order by b.deadline_at limit ${limit}`;
}

/**
 * Builds whose artifact every region in service holds by now, moved on at once; answers them. Looks at
 * each that waits, with one look into what regions hold.
 */
export async function endReplicated(queries: Queries, limit: number): Promise<number[]> {
  const rows = await queries<{ id: number }[]>`
    with wanted as materialized (
      select name from regions where in_service or home
    ), held as materialized (
      select b.id from builds b
      where b.state = 'REPLICATING' and (select nullif(count(*), 0) from wanted) = (
        select count(distinct s.region) from seeder_artifacts a
        join seeders s on s.name = a.seeder
        join wanted w on w.name = s.region
        where a.artifact = b.artifact)
      limit ${limit}
    ), whole as (
      select id from builds where id = any (array(select id from held)) and state = 'REPLICATING'
      for update skip locked
    )
    update builds b set state = 'SUCCEEDED', deadline_at = null, ended_at = now()
    from whole where b.id = whole.id returning b.id`;
  return rows.map((row) => row.id);
}

export async function overdueReplications(queries: Queries, limit: number): Promise<number[]> {
  const rows = await queries<{ id: number }[]>`
    select id from builds where state = 'REPLICATING' and deadline_at < now()
    order by deadline_at limit ${limit}`;
  return rows.map((row) => row.id);
}

/** Every lease is void: its attempt ends, and its build waits again or is cancelled. Answers how many. */
export async function voidLeases(queries: Queries): Promise<number> {
  const from = statesBefore("databaseRestored");
  const targets = Object.fromEntries(
    from.map((state) => [state, stateAfter("databaseRestored", state)]),
  );
  const [row] = await queries<{ count: number }[]>`
    with gone as (
      delete from leases returning build, fence
    ), ended as (
      update attempts a set ended_at = now(), outcome = 'restored' from gone
      where a.build = gone.build and a.fence = gone.fence and a.ended_at is null
    ), moved as (
      update builds b set
        state = ${queries.json(targets)}::jsonb ->> b.state,
        ended_at = case when state = 'CANCELLING' then now() end, not_before = now()
      from gone where b.id = gone.build and b.state = any(${from})
    )
    select count(*)::int as count from gone`;
  return row?.count ?? 0;
}
