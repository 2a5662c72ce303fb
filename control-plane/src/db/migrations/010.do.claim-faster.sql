-- The claim again, with fewer statements inside: who holds a build already is asked only when there is
-- nothing else, because the lease's key says it otherwise; caps come with what is blocked. A lease is
-- written by nothing else than this, together with its build's row: a reference that is checked each
-- time says nothing more.
alter table leases drop constraint leases_build_fkey;

-- One claim (control-plane/src/db/claims.ts says what it guarantees). A function, because its plan has
-- to be the walk along the queue's index whatever the statistics of a table that fills and empties
-- say: sorting all that waits for each claim would make claims slower the more wait.
--
-- Answers one row: whether the database is the one that was looked at, whether the builder holds a
-- build, the place of the build that was found, the project's name when it has a cap and wasn't asked
-- for by name, and the lease.
create or replace function claim_build(
  p_builder text, p_holder text, p_labels jsonb, p_lane smallint, p_tag bigint, p_project text,
  out adopted boolean, out holding boolean, out lane smallint, out tag bigint, out capped text,
  out build integer, out attempt integer, out fence bigint, out project text, out commit text,
  out at timestamptz
) language plpgsql as $$
declare
  v_epoch bigint;
  v_blocked text[];
  v_capped text[];
begin
  select f.server = shoal_server(), f.epoch into adopted, v_epoch from fleet f;
  at := now();
  if not adopted then return; end if;
  holding := false;
  -- Projects of which this builder can't take any build now, and those that have a cap.
  select coalesce(array_agg(p.name) filter (where not (p.builder_labels <@ p_labels)
      or p.builds_running_max <= (select count(*) from leases l where l.project = p.name)), '{}'),
    coalesce(array_agg(p.name) filter (where p.builds_running_max is not null), '{}')
    into v_blocked, v_capped from projects p
    where p.builder_labels <> '{}' or p.builds_running_max is not null;
  if p_project is not null then
    select b.id, b.lane, b.tag, b.project into build, lane, tag, project from builds b
      where b.state = 'QUEUED' and b.project = p_project and b.not_before <= now()
        and p_project <> all (v_blocked)
      order by b.lane, b.tag, b.id limit 1 for update skip locked;
  elsif p_lane is not null then
    select b.id, b.lane, b.tag, b.project into build, lane, tag, project from builds b
      where b.state = 'QUEUED' and (b.lane, b.tag) >= (p_lane, p_tag) and b.not_before <= now()
        and b.project <> all (v_blocked)
      order by b.lane, b.tag, b.id limit 1 for update skip locked;
  else
    select b.id, b.lane, b.tag, b.project into build, lane, tag, project from builds b
      where b.state = 'QUEUED' and b.not_before <= now() and b.project <> all (v_blocked)
      order by b.lane, b.tag, b.id limit 1 for update skip locked;
  end if;
  if build is null then
    holding := exists (select from leases l where l.builder = p_builder);
    return;
  end if;
  if p_project is null and project = any (v_capped) then
    capped := project;
    build := null;
    return;
  end if;
  fence := (v_epoch << 40) + nextval('fences');
  update builds b set state = 'BUILDING', attempt = b.attempt + 1, builder = p_builder,
    fence = claim_build.fence, leased_at = now(), failure = null
    where b.id = build returning b.attempt, b.commit_id into attempt, commit;
  insert into leases (builder, holder, build, fence, project)
    values (p_builder, p_holder, build, fence, project);
  insert into attempts (build, attempt, fence, builder, holder, log_base)
    values (build, attempt, fence, p_builder, p_holder, case when attempt = 1 then 0 else coalesce((
      select max(a.log_base + a.log_kept) from attempts a where a.build = claim_build.build), 0) end);
end $$
set enable_sort = off set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan;
alter function claim_build cost 1000;
