-- What comes at the same moment is done in one statement: claims, heartbeats, ends and requests for
-- builds (control-plane/src/operations/together.ts). Functions, because their plans have to be the walks
-- along indexes whatever the statistics of tables that fill and empty say.

-- Leases are found by their builds, each of which is new. A builder's name comes again with every build,
-- and a unique index of it walks over all the leases that it ever had since the oldest snapshot. That a
-- builder holds one at a time is now kept by `claim_builds`.
alter table leases drop constraint leases_pkey;
alter table leases drop constraint leases_build_key;
alter table leases add primary key (build);
create index leases_of_builder on leases (builder, fence);

-- Claims for several builders with the same labels (control-plane/src/db/claims.ts says what they
-- guarantee). The first row, of turn 0, says whether the database is the one that was looked at and
-- which of the builders hold a build: then nobody gets one. Every other row is a lease, for the builder
-- of that turn. `p_after` has a fence for each builder, of its last lease that is known: none before it
-- is looked for. Builds go out in the order of the queue, and none from the first of a project with a cap
-- on: `project` of turn 0 names that one. With `p_project`, whose lock the caller has, builds of that
-- one alone. `claim_build` stays for control planes that run the version before this one.
create function claim_builds(
  p_builders text[], p_holders text[], p_after bigint[], p_labels jsonb, p_lane smallint, p_tag bigint, p_project text
) returns table (
  turn integer, adopted boolean, holding text[], build integer, attempt integer, fence bigint,
  project text, commit text, lane smallint, tag bigint, at timestamptz, source jsonb
) language plpgsql as $$
#variable_conflict use_column
declare
  v_epoch bigint;
  v_adopted boolean;
  v_blocked text[];
  v_capped text[];
  v_holding text[];
begin
  select f.server = shoal_server(), f.epoch into v_adopted, v_epoch from fleet f;
  if not v_adopted then
    turn := 0;
    adopted := false;
    return next;
    return;
  end if;
  -- One claim at a time of each builder: what it holds is looked for after that, in another statement.
  perform pg_advisory_xact_lock(x'540a3'::integer, k.key) from (
    select distinct hashtext(n.name) as key from unnest(p_builders) as n (name) order by 1) k;
  v_holding := array(
    select n.name from unnest(p_builders, p_after) as n (name, after)
    where exists (select from leases l where l.builder = n.name and l.fence >= n.after));
  if v_holding <> '{}' then
    turn := 0;
    adopted := true;
    holding := v_holding;
    return next;
    return;
  end if;
  -- Projects of which these builders can't take any build now, and those that have a cap.
  select coalesce(array_agg(p.name) filter (where not (p.builder_labels <@ p_labels)
      or p.builds_running_max <= (select count(*) from leases l where l.project = p.name)), '{}'),
    coalesce(array_agg(p.name) filter (where p.builds_running_max is not null), '{}')
    into v_blocked, v_capped from projects p
    where p.builder_labels <> '{}' or p.builds_running_max is not null;
  return query
  with first as materialized (
    select b.id, b.lane, b.tag, b.project from builds b
    where p_project is null and b.state = 'QUEUED' and (b.lane, b.tag) >= (p_lane, p_tag)
      and b.not_before <= now() and b.project <> all (v_blocked)
    order by b.lane, b.tag, b.id limit cardinality(p_builders) for update skip locked
  ), first_of_project as materialized (
    select b.id, b.lane, b.tag, b.project from builds b
    where b.state = 'QUEUED' and b.project = p_project and b.not_before <= now()
      and p_project <> all (v_blocked)
    order by b.lane, b.tag, b.id limit cardinality(p_builders) for update skip locked
  ), turned as materialized (
    select f.*, (row_number() over ())::integer as turn
    from (select * from first union all select * from first_of_project) f
  ), stop as materialized (
    select t.turn, t.project from turned t where p_project is null and t.project = any (v_capped)
    order by t.turn limit 1
  ), taken as (
    update builds b set state = 'BUILDING', attempt = b.attempt + 1,
      builder = p_builders[t.turn], fence = (v_epoch << 40) + nextval('fences'), leased_at = now(),
      failure = null
    from turned t
    where b.id = t.id and t.turn < coalesce((select s.turn from stop s), t.turn + 1)
    returning b.id, b.attempt, b.fence, b.commit_id, b.project, t.turn, t.lane, t.tag
  ), leased as (
    insert into leases (builder, holder, build, fence, project)
    select p_builders[t.turn], p_holders[t.turn], t.id, t.fence, t.project from taken t
  ), tried as (
    insert into attempts (build, attempt, fence, builder, holder, log_base)
    select t.id, t.attempt, t.fence, p_builders[t.turn], p_holders[t.turn],
      case when t.attempt = 1 then 0 else coalesce((
        select max(a.log_base + a.log_kept) from attempts a where a.build = t.id), 0) end
    from taken t
  )
  select t.turn, true, null::text[], t.id, t.attempt, t.fence, t.project, t.commit_id, t.lane, t.tag,
    now(), jsonb_build_object('remoteUrl', p.remote_url, 'buildCommand', p.build_command,
      'artifactPath', p.artifact_path, 'prepare', p.prepare, 'test', p.test, 'limits', p.limits)
  from taken t join projects p on p.name = t.project
  union all
  select 0, true, '{}'::text[], null, null, null, (select s.project from stop s), null, null, null, now(), null;
end $$
set enable_sort = off set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan;

-- Heartbeats of several leases. Answers a row for each that counts.
create function beat_leases(p_builds integer[], p_fences bigint[], p_holders text[])
returns table (turn integer, at timestamptz, state text, attempt integer, project text)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with held as materialized (
    select l.build, w.turn::integer as turn, b.state, b.attempt, b.project
    from unnest(p_builds, p_fences, p_holders) with ordinality as w (build, fence, holder, turn)
    join leases l on l.build = w.build
    join builds b on b.id = w.build
    cross join fleet f
    where l.fence = w.fence and l.holder = w.holder and l.fence >> 40 = f.epoch
      and f.server = shoal_server()
    -- Whoever locks several leases takes them in the order of their builds.
    order by l.build for update of l
  ), beaten as (
    update leases l set beat_at = now() from held h where l.build = h.build
    returning l.build
  )
  select h.turn, now(), h.state, h.attempt, h.project from held h
  where h.build in (select x.build from beaten x);
end $$
set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan;

-- Ends of several attempts, of different builds: for each, build, lease and attempt change together or
-- not at all. Answers the state of each build that changed.
create function end_attempts(p_ends jsonb) returns table (turn integer, state text)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with held as materialized (
    select w.*, b.attempt, b.project, b.commit_id, w.targets ->> b.state as target
    from jsonb_to_recordset(p_ends) as w (turn integer, build integer, fence bigint, holder text,
      targets jsonb, "silentForMs" float8, outcome text, failure jsonb, proof jsonb,
      "retryInMs" float8, "deadlineInMs" float8, artifact text, "artifactBytes" bigint,
      "bytesUploaded" bigint, statement jsonb)
    join builds b on b.id = w.build
    join leases l on l.build = w.build
    cross join fleet f
    where l.fence = w.fence and (w.holder is null or (l.holder = w.holder and l.fence >> 40 = f.epoch))
      and f.server = shoal_server() and w.targets ? b.state
      and (w."silentForMs" is null
        or l.beat_at < now() - w."silentForMs" * interval '1 millisecond')
    order by b.id for update of b, l
  ), ended as (
    update attempts a set ended_at = now(), outcome = h.outcome, failure = h.failure, proof = h.proof
    from held h where a.build = h.build and a.attempt = h.attempt
  ), gone as (
    delete from leases l using held h where l.build = h.build
  ), kept as (
    insert into artifacts (cid, project, commit_id, bytes, statement)
    select distinct on (h.artifact) h.artifact, h.project, h.commit_id, h."artifactBytes", h.statement
    from held h where h.artifact is not null order by h.artifact, h.turn
    on conflict (cid) do update set retired_at = null
  )
  update builds b set state = h.target, failure = h.failure,
    not_before = now() + coalesce(h."retryInMs", 0) * interval '1 millisecond',
    deadline_at = now() + h."deadlineInMs" * interval '1 millisecond',
    ended_at = case when h.target in ('SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD') then now() end,
    artifact = coalesce(h.artifact, b.artifact),
    artifact_bytes = coalesce(h."artifactBytes", b.artifact_bytes),
    bytes_uploaded = coalesce(h."bytesUploaded", b.bytes_uploaded),
    published_at = case when h.artifact is not null then now() else b.published_at end
  from held h where b.id = h.build
  returning h.turn, b.state;
end $$
set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan;

-- Several builds of one project and priority, in the order in which they were asked for. Answers a row
-- for each that is new; the commit of any other has a build that isn't over or has succeeded.
--
-- A build's tag is its place among the projects' turns (start-time fair queueing, Goyal et al. 1996):
-- one turn after the project's last build, and not before the head of the lane, so that a project that
-- was idle has saved up nothing.
create function start_builds(p_project text, p_priority smallint, p_turn bigint, p_builds jsonb)
returns table (turn integer, id integer) language plpgsql as $$
#variable_conflict use_column
declare
  v_step bigint;
  v_reports boolean;
begin
  select p_turn / p.build_share into v_step from projects p where p.name = p_project;
  if not found then return; end if;
  v_reports := exists (select from commit_status_targets c where c.project = p_project);
  return query
  with wanted as materialized (
    select w.*, (row_number() over (order by w.turn)) as rank, count(*) over () as total
    from jsonb_to_recordset(p_builds) as w (turn integer, commit text, force boolean,
      "scheduledFor" timestamptz, "retryOf" integer, branch text)
    where w.force or not exists (
      select from builds b where b.project = p_project and b.commit_id = w.commit
        and b.state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not b.forced)
  ), head as materialized (
    select coalesce(
      (select b.tag from builds b where b.state = 'QUEUED' and b.lane = -p_priority
        order by b.lane, b.tag, b.id limit 1),
      (select max(tag) from project_shares), 0) as tag
  ), turned as (
    -- The tag of the last of them.
    insert into project_shares as s (project, tag)
    select p_project, h.tag + v_step * (w.total - 1) from head h, wanted w where w.rank = 1
    on conflict (project) do update set tag = greatest(s.tag + v_step, (select h.tag from head h))
      + v_step * (select w.total - 1 from wanted w where w.rank = 1)
    returning s.tag
  ), made as (
    insert into builds (project, commit_id, priority, tag, forced, scheduled_for, retry_of, not_before,
      branch, reports_status)
    select p_project, w.commit, p_priority, t.tag - v_step * (w.total - w.rank), w.force,
      w."scheduledFor", w."retryOf", coalesce(w."scheduledFor", now()), w.branch, v_reports
    from wanted w cross join turned t order by w.rank
    on conflict (project, commit_id)
      where state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not forced
    do nothing
    returning builds.id, builds.tag
  )
  select w.turn, m.id from made m cross join turned t
    join wanted w on m.tag = t.tag - v_step * (w.total - w.rank);
end $$
set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan;
