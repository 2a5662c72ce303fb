-- Everything the control plane keeps. Times are timestamptz; bodies that only our own schemas read are
-- jsonb; ids of builds and rollouts are counted; names are checked before they get here.

-- One row: the epoch of goals and fences. It rises when a restored backup is noticed.
create table fleet (
  one boolean primary key default true check (one),
  epoch bigint not null default 1 check (epoch >= 1 and epoch < 4194304)
);
insert into fleet default values;

create table projects (
  name text primary key,
  remote_url text not null,
  build_command text not null,
  artifact_path text not null,
  limits jsonb not null,
  created_at timestamptz not null default now()
);

create table regions (
  name text primary key,
  home boolean not null,
  in_service boolean not null,
  created_at timestamptz not null default now()
);
create unique index regions_one_home on regions ((true)) where home;

-- Secrets are never kept: a token is its SHA-256.
create table tokens (
  hash bytea primary key,
  role text not null check (role in ('builder', 'seeder')),
  name text not null,
  region text references regions,
  created_at timestamptz not null default now(),
  check ((role = 'seeder') = (region is not null))
);
create table join_tokens (
  hash bytea primary key,
  region text not null references regions,
  environment text not null,
  uses integer not null default 0,
  uses_max integer not null check (uses_max >= 1),
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  check (uses <= uses_max)
);
-- Hosts that joined: the same key with the same token is a renewal and no new use.
create table members (
  peer_id text primary key,
  host text not null,
  region text not null references regions,
  environment text not null,
  zone text not null,
  labels jsonb not null,
  token_hash bytea not null,
  joined_at timestamptz not null default now()
);

create table seeders (
  name text primary key,
  region text not null references regions,
  url text not null,
  peer_id text not null,
  swarm_addresses jsonb not null,
  hosts integer not null default 0,
  held_digest text not null default '',
  seen_at timestamptz not null default now(),
  reported_at timestamptz
);
create index seeders_region on seeders (region);
create table seeder_artifacts (
  artifact text not null,
  seeder text not null references seeders on delete cascade,
  primary key (artifact, seeder)
);
create index seeder_artifacts_seeder on seeder_artifacts (seeder);
create table service_counts (
  environment text not null,
  service text not null,
  seeder text not null references seeders on delete cascade,
  counts jsonb not null,
  primary key (environment, service, seeder)
);
create index service_counts_seeder on service_counts (seeder);

create table builds (
  id integer primary key generated always as identity,
  project text not null references projects,
  commit_id text not null,
  priority smallint not null,
  state text not null default 'QUEUED',
  attempt integer not null default 0,
  -- Of the newest lease, also after it has ended: a repeated finish is known by it.
  fence bigint,
  builder text,
  -- A build that failed by our fault waits until then.
  not_before timestamptz not null default now(),
  -- When the reaper ends REPLICATING or CANCELLING.
  deadline_at timestamptz,
  artifact text,
  artifact_bytes bigint,
  bytes_uploaded bigint,
  failure jsonb,
  created_at timestamptz not null default now(),
  leased_at timestamptz,
  published_at timestamptz,
  ended_at timestamptz
);
-- The queue: first in, first out within a priority. Rows that aren't queued aren't in it.
create index builds_queue on builds (priority desc, id) where state = 'QUEUED';
-- The same commit asked for twice is one build, unless it failed or was cancelled.
create unique index builds_live on builds (project, commit_id)
  where state in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED');
create index builds_deadline on builds (deadline_at) where state in ('REPLICATING', 'CANCELLING');
create index builds_of_project on builds (project, id desc);

-- With the epoch in its upper bits a fence never repeats, also after a restored backup.
create sequence fences;
-- Narrow, one row for each lease that is alive: heartbeats touch nothing else.
create table leases (
  build integer primary key references builds,
  fence bigint not null,
  until timestamptz not null
) with (fillfactor = 50);
create index leases_until on leases (until);

create table attempts (
  build integer not null references builds,
  attempt integer not null,
  fence bigint not null,
  builder text not null,
  leased_at timestamptz not null default now(),
  ended_at timestamptz,
  outcome text,
  -- Where this attempt's log begins in the build's log, and what came in, was kept and was dropped.
  log_base bigint not null,
  log_received bigint not null default 0,
  log_kept bigint not null default 0,
  primary key (build, attempt)
) with (fillfactor = 70);
create table log_parts (
  build integer not null references builds,
  -- In the build's log, over all attempts.
  position bigint not null,
  bytes bytea not null,
  primary key (build, position)
);

create table artifacts (
  cid text primary key,
  project text not null references projects,
  commit_id text not null,
  bytes bigint not null,
  statement jsonb not null,
  created_at timestamptz not null default now(),
  -- Seeders may drop it, and it can't be deployed anymore.
  retired_at timestamptz
);

create table services (
  environment text not null,
  name text not null,
  project text not null references projects,
  run jsonb not null,
  selector jsonb not null,
  current_release text,
  fallback_release text,
  created_at timestamptz not null default now(),
  primary key (environment, name)
);
create table releases (
  environment text not null,
  service text not null,
  id text not null,
  body jsonb not null,
  artifact text not null,
  created_at timestamptz not null default now(),
  primary key (environment, service, id),
  foreign key (environment, service) references services
);
create table quarantines (
  environment text not null,
  service text not null,
  release text not null,
  reason text not null,
  since timestamptz not null default now(),
  primary key (environment, service, release),
  foreign key (environment, service, release) references releases
);
create table rollouts (
  id integer primary key generated always as identity,
  environment text not null,
  service text not null,
  kind text not null check (kind in ('deploy', 'rollback')),
  release text not null,
  previous text,
  -- The engine's state, and the sums it saw last.
  engine jsonb not null,
  seen jsonb,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  succeeded boolean,
  foreign key (environment, service, release) references releases
);
create unique index rollouts_one_at_a_time on rollouts (environment, service) where ended_at is null;
create index rollouts_of_service on rollouts (environment, service, id desc);

create table goals (
  environment text not null,
  service text not null,
  region text not null references regions,
  epoch bigint not null,
  generation bigint not null,
  -- The goal without its place and order, in canonical JSON: what is compared before writing.
  body text not null,
  envelope jsonb not null,
  key_id text not null,
  updated_at timestamptz not null default now(),
  primary key (environment, service, region),
  foreign key (environment, service) references services
);
create index goals_region on goals (region);
