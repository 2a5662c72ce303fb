-- Environments with their sets and rules, tokens of people, branches of builds.
create table environments (
  name text primary key,
  -- Null: every region in service.
  regions jsonb,
  -- Labels that a host must have, whatever a service's own selector says.
  selector jsonb not null default '{}',
  -- Deploys only what went out to everybody there.
  promotes_from text references environments,
  deploys_branch text,
  promotes_after_ms bigint check (promotes_after_ms >= 1000),
  -- What differs from the control plane's own rollout policy.
  policy jsonb not null default '{}',
  -- X25519 public key, base64url, that secrets are sealed for.
  secrets_key text,
  created_at timestamptz not null default now(),
  check (promotes_from <> name)
);
insert into environments (name) values ('development'), ('testing'), ('staging'), ('production');
insert into environments (name)
  select environment from services union select environment from join_tokens
  union select environment from members
  on conflict do nothing;
alter table services add foreign key (environment) references environments;
alter table services
  -- The newest build that a rule of the environment has deployed, or found not to be deployed.
  add column auto_build integer not null default 0,
  -- Since when every host that reports is healthy with the release that it runs, and which that is.
  add column well_since timestamptz,
  add column well_release text;

alter table builds add column branch text;
create index builds_branch on builds (project, branch, id desc)
  where branch is not null and state = 'SUCCEEDED';

alter table rollouts add column by text not null default 'admin';

create table people (
  hash bytea primary key,
  name text not null,
  permissions jsonb not null,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index people_name on people (name);
