-- Secrets that a git host signs pushes with: the two newest of a project count, so that one can be
-- replaced by another. Kept as they are: an HMAC can't be checked with less.
create table webhook_secrets (
  id integer primary key generated always as identity,
  project text not null references projects on delete cascade,
  secret text not null,
  created_at timestamptz not null default now()
);
create index webhook_secrets_project on webhook_secrets (project, id desc);

-- Deliveries that were heeded, so that a repeated one does nothing.
create table webhook_deliveries (
  project text not null references projects on delete cascade,
  delivery text not null,
  build integer references builds,
  at timestamptz not null default now(),
  primary key (project, delivery)
);
create index webhook_deliveries_at on webhook_deliveries (at);
