-- The newest trust document with those that lead to it, so that all control planes come to know it. Each
-- verifies it against its own pinned root: this row is a way to travel, not an authority.
create table trust (
  one boolean primary key default true check (one),
  version integer not null,
  documents jsonb not null
);

-- Who is shut out. Rows stay after `until`: a key that was revoked never joins again.
create table revocations (
  peer_id text primary key,
  revoked_at timestamptz not null default now(),
  until timestamptz not null
);
-- The newest signed list of them.
create table revocation_list (
  one boolean primary key default true check (one),
  epoch bigint not null,
  version integer not null,
  key_id text not null,
  envelope jsonb not null
);

-- Labels that a token gives to every host that joins with it.
alter table join_tokens add column labels jsonb not null default '{}';
alter table members add column token_labels jsonb not null default '{}';
create index join_tokens_region on join_tokens (region, created_at desc);
