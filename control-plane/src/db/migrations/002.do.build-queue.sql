-- The build queue: incarnations of the database, fair shares, a lease for each builder.

-- Which database this is. `server` is the server life that was looked at last: a statement that
-- takes, keeps or ends a lease counts only while it is still that one (docs/BUILDS.md).
alter table fleet
  add column incarnation uuid not null default gen_random_uuid(),
  add column server text not null default '',
  add column system_id text not null default '',
  add column timeline text not null default '';

-- Start of the server and this table's own number: a restart, a promoted standby, a restored data
-- folder and a restored dump each have another one.
create function shoal_server() returns text language sql stable
  return pg_postmaster_start_time()::text || '/' || 'fleet'::regclass::oid::text;

alter table projects
  -- Most builds of the project at once; null: as many as there are builders.
  add column builds_running_max integer check (builds_running_max >= 1),
  -- Its part of the starts while others wait too.
  add column build_share integer not null default 1 check (build_share between 1 and 100),
  -- A builder must have all of these labels.
  add column builder_labels jsonb not null default '{}';

-- Virtual time of fair queueing: where the project's next build stands in its lane. Narrow and apart,
-- because every new build touches it.
create table project_shares (
  project text primary key references projects on delete cascade,
  tag bigint not null default 0
) with (fillfactor = 50);

alter table builds
  -- Smaller goes first: the priority turned round, so that one ascending index is the queue.
  add column lane smallint generated always as (-priority) stored,
  add column tag bigint not null default 0,
  add column forced boolean not null default false,
  add column scheduled_for timestamptz,
  add column retry_of integer references builds;
update builds set tag = id::bigint * 1000000 where state = 'QUEUED';
drop index builds_queue;
create index builds_queue on builds (lane, tag, id) where state = 'QUEUED';
create index builds_queue_of_project on builds (project, lane, tag, id) where state = 'QUEUED';
drop index builds_live;
create unique index builds_live on builds (project, commit_id)
  where state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED') and not forced;
create index builds_retry_of on builds (retry_of) where retry_of is not null;

-- One narrow row for each builder that holds a build: heartbeats change `beat_at`, which no index
-- has, and touch nothing else.
drop table leases;
update builds set state = 'QUEUED' where state = 'BUILDING';
update builds set state = 'CANCELLED', ended_at = now() where state = 'CANCELLING';
update attempts set ended_at = now(), outcome = 'migrated' where ended_at is null;
create table leases (
  builder text primary key,
  -- The name of the token that took it: nobody else may use the fence.
  holder text not null,
  build integer not null unique references builds,
  fence bigint not null,
  project text not null,
  since timestamptz not null default now(),
  beat_at timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

alter table attempts
  add column holder text,
  add column failure jsonb,
  -- How the builder knows that nothing of a cancelled attempt runs any more.
  add column proof jsonb,
  -- Calls that came after its end, or from another than its holder.
  add column refused integer not null default 0,
  add column refused_at timestamptz;
create unique index attempts_fence on attempts (fence);

-- Refused calls by kind, also of attempts that nobody knows any more.
create table refusals (
  call text primary key,
  refused bigint not null default 0,
  last_at timestamptz not null default now()
) with (fillfactor = 50);

-- Builders as they describe themselves when they ask for work.
create table builders (
  name text primary key,
  holder text not null,
  labels jsonb not null,
  load jsonb,
  draining boolean not null default false,
  seen_at timestamptz not null default now()
) with (fillfactor = 50);

-- Loops that one control plane runs at a time.
create table loops (
  name text primary key,
  owner uuid not null,
  until timestamptz not null
);
