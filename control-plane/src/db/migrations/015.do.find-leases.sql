-- While anybody holds a snapshot open, the leases that there were stay in the indexes, and the statistics
-- count none of them. Then a walk along a whole index looks cheaper than a few looks into it, and claims
-- took 240 ms instead of 5 as soon as a vacuum had renewed the statistics. So these three leave the
-- planner no other way: each lease is looked for by its key in a query of its own, which isn't made part
-- of the others, in an order that only the index with that key has.

create or replace function claim_builds(
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
    where (
      select l.fence from leases l where l.builder = n.name and l.fence >= n.after
      order by l.builder, l.fence limit 1) is not null);
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
set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
set plan_cache_mode = force_generic_plan;

create or replace function beat_leases(p_builds integer[], p_fences bigint[], p_holders text[])
returns table (turn integer, at timestamptz, state text, attempt integer, project text)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with held as materialized (
    select w.build, w.turn::integer as turn, b.state, b.attempt, b.project
    from fleet f
    -- Whoever locks several leases takes them in the order of their builds.
    cross join (
      select * from unnest(p_builds, p_fences, p_holders) with ordinality
        as w (build, fence, holder, turn) order by w.build) w
    cross join lateral (
      select from leases l where l.build = w.build and l.fence = w.fence and l.holder = w.holder
        and l.fence >> 40 = f.epoch for update) l
    cross join lateral (
      select b.state, b.attempt, b.project from builds b where b.id = w.build limit 1) b
    where f.server = shoal_server()
  ), beaten as (
    update leases l set beat_at = now() where l.build = any (array(select h.build from held h))
    returning l.build
  )
  select h.turn, now(), h.state, h.attempt, h.project from held h
  where h.build in (select x.build from beaten x);
end $$
set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
set plan_cache_mode = force_generic_plan;

create or replace function end_attempts(p_ends jsonb) returns table (turn integer, state text)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with held as materialized (
    select w.*, b.attempt, b.project, b.commit_id, w.targets ->> b.state as target
    from fleet f
    cross join (
      select * from jsonb_to_recordset(p_ends) as w (turn integer, build integer, fence bigint,
        holder text, targets jsonb, "silentForMs" float8, outcome text, failure jsonb, proof jsonb,
        "retryInMs" float8, "deadlineInMs" float8, artifact text, "artifactBytes" bigint,
        "bytesUploaded" bigint, statement jsonb) order by w.build) w
    cross join lateral (
      select b.state, b.attempt, b.project, b.commit_id from builds b
      where b.id = w.build and w.targets ? b.state for update) b
    cross join lateral (
      select from leases l where l.build = w.build and l.fence = w.fence
        and (w.holder is null or (l.holder = w.holder and l.fence >> 40 = f.epoch))
        and (w."silentForMs" is null
          or l.beat_at < now() - w."silentForMs" * interval '1 millisecond') for update) l
    where f.server = shoal_server()
  ), ended as (
    update attempts a set ended_at = now(), outcome = h.outcome, failure = h.failure, proof = h.proof
    from held h where a.build = h.build and a.attempt = h.attempt
  ), gone as (
    delete from leases l where l.build = any (array(select h.build from held h))
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
set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
set plan_cache_mode = force_generic_plan;
