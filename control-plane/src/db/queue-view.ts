// The queue as people and scalers see it: why a build waits, attempts, depth and load. Reads only.
import {
  type Attempt,
  type BuildWhy,
  type Queue,
  attempt as attemptSchema,
  queue as queueSchema,
} from "@shoal/api/control-plane";
import { heardOfMs } from "@shoal/core/limits";
import type { Queries } from "./connection.ts";
import { isoDates } from "./iso-dates.ts";

export async function listAttempts(queries: Queries, build: number): Promise<Attempt[]> {
  const rows = await queries<Record<string, unknown>[]>`
    select attempt, fence::text, builder, leased_at as "leasedAt", ended_at as "endedAt", outcome,
      failure, proof, refused, log_base as "logOffset", log_kept as "logBytes"
    from attempts where build = ${build} order by attempt`;
  return rows.map((row) => attemptSchema.parse(isoDates(row)));
}

/** Facts about a build's wait, without words for them. */
export interface WaitFacts extends Omit<BuildWhy, "summary" | "expectedStartAt" | "notBefore"> {
  readonly notBefore: Date | null;
  /** Builds that started in the last minutes, by this many milliseconds. */
  readonly started: number;
  readonly startedWithinMs: number;
}

const startsWithinMs = 300_000;

/** Null when there is no such build. One statement: all of it is true at the same moment. */
export async function findWait(queries: Queries, id: number): Promise<WaitFacts | null> {
  const heard = queries`seen_at > now() - ${heardOfMs} * interval '1 millisecond'`;
  const [row] = await queries<WaitFacts[]>`
    with own as (
      select b.*, p.builds_running_max, p.build_share, p.builder_labels
      from builds b join projects p on p.name = b.project where b.id = ${id}
    ), ahead as (
      select b.id, b.project, b.priority, b.lane, b.tag from builds b, own
      where own.state = 'QUEUED' and b.state = 'QUEUED' and b.not_before <= now()
        and (b.lane, b.tag, b.id) < (own.lane, own.tag, own.id)
    ), waiting as (
      select p.name, p.build_share from projects p, own where exists (
        select from builds b where b.state = 'QUEUED' and b.project = p.name and b.lane = own.lane)
    ), fit as (
      select b.name, exists (select from leases l where l.builder = b.name) as busy
      from builders b, own
      where own.builder_labels <@ b.labels and not b.draining and ${heard}
    )
    select own.id as build, own.state,
      case when own.state = 'QUEUED' then (select count(*)::int from ahead) + 1 end as position,
      coalesce((select jsonb_agg(jsonb_build_object('build', id, 'project', project,
          'priority', priority) order by lane, tag, id)
        from (select * from ahead order by lane, tag, id limit 10) a), '[]') as ahead,
      coalesce((select jsonb_agg(jsonb_build_object('project', project, 'builds', builds)
          order by builds desc, project)
        from (select project, count(*)::int as builds from ahead group by project
          order by 2 desc limit 20) a), '[]') as "aheadByProject",
      case when own.state = 'QUEUED' and own.not_before > now() then own.not_before end
        as "notBefore",
      jsonb_build_object('running', (select count(*) from leases l where l.project = own.project),
        'max', own.builds_running_max,
        'reached', coalesce(own.builds_running_max <= (
          select count(*) from leases l where l.project = own.project), false)) as cap,
      jsonb_build_object('own', own.build_share,
        'total', (select coalesce(sum(build_share), 0) from waiting)) as share,
      jsonb_build_object('matching', (select count(*) from fit),
        'idle', (select count(*) from fit where not busy),
        'known', (select count(*) from builders where ${heard}),
        'labels', own.builder_labels) as builders,
      (select count(*)::int from attempts
        where leased_at > now() - ${startsWithinMs} * interval '1 millisecond') as started,
      ${startsWithinMs}::int as "startedWithinMs"
    from own`;
  return row ?? null;
}

/** One statement over the queue, the leases and the builders heard of lately. */
export async function readQueue(queries: Queries): Promise<Queue> {
  const [row] = await queries<Record<string, unknown>[]>`
    with waiting as (
      select project, count(*) as builds, count(*) filter (where not_before <= now()) as due,
        min(greatest(not_before, created_at)) filter (where not_before <= now()) as oldest
      from builds where state = 'QUEUED' group by project
    ), running as (
      select project, count(*) as builds from leases group by project
    ), able as (
      select least(w.due, coalesce(p.builds_running_max - coalesce(r.builds, 0), w.due)) as builds
      from waiting w join projects p on p.name = w.project
      left join running r on r.project = w.project
    )
    select coalesce((select sum(builds) from waiting), 0)::int as queued,
      coalesce((select sum(due) from waiting), 0)::int as due,
      coalesce((select sum(builds) from running), 0)::int as running,
      coalesce((select floor(extract(epoch from now() - min(oldest)) * 1000) from waiting), 0)::int
        as "oldestMs",
      (coalesce((select sum(builds) from running), 0)
        + coalesce((select sum(greatest(builds, 0)) from able), 0))::int as "buildersWanted",
      coalesce((select jsonb_agg(jsonb_build_object('name', b.name, 'labels', b.labels,
          'load', b.load, 'draining', b.draining, 'build', l.build,
          'seenAt', to_char(greatest(b.seen_at, l.beat_at) at time zone 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by b.name)
        from (select * from builders
          where seen_at > now() - ${heardOfMs} * interval '1 millisecond'
            or name in (select builder from leases) order by name limit 1000) b
        left join leases l on l.builder = b.name), '[]') as builders,
      coalesce((select jsonb_object_agg(call, refused) from refusals), '{}') as refused,
      (select incarnation from fleet) as incarnation`;
  return queueSchema.parse(row);
}

/** Gives a build that is queued another place or time; false when it isn't queued. */
export async function rescheduleBuild(
  queries: Queries,
  id: number,
  change: {
    readonly priority: number | null;
    /** Undefined: as it is; null: now. */
    readonly scheduledFor: string | null | undefined;
  },
): Promise<boolean> {
  const { priority, scheduledFor } = change;
  const time =
    scheduledFor === undefined
      ? queries``
      : queries`, scheduled_for = ${scheduledFor}::timestamptz,
          not_before = coalesce(${scheduledFor}::timestamptz, now())`;
  const changed = await queries`
    update builds set priority = coalesce(${priority}::smallint, priority) ${time}
    where id = ${id} and state = 'QUEUED'`;
  return changed.count > 0;
}
