-- Branches whose heads are built also when nobody tells of a push, and when they are looked at next.
alter table projects
  add column branches text[] not null default '{}',
  add column heads_due_at timestamptz not null default now();
create index projects_heads_due on projects (heads_due_at) where branches <> '{}';

-- Where a project's git host wants to hear how its builds stand. The token is kept as it is: it has to
-- be said to the host.
create table commit_status_targets (
  project text primary key references projects on delete cascade,
  url text not null,
  token text
);

-- The outbox: builds whose state the host hasn't heard of. What is said is the state when it is said,
-- so that a build has at most one row, and an older word never comes after a newer one.
create table commit_statuses (
  build integer primary key references builds,
  -- Rises with each change: a delivery ends the row only when nothing has changed meanwhile.
  version integer not null default 1,
  tries integer not null default 0,
  due_at timestamptz not null default now(),
  -- Why it was given up; such a row is kept, and shown.
  problem text,
  gave_up_at timestamptz
) with (fillfactor = 50);
create index commit_statuses_due on commit_statuses (due_at) where gave_up_at is null;

-- Whether the project had a target when the build was asked for: builds of others cost nothing.
alter table builds add column reports_status boolean not null default false;

create function note_commit_status() returns trigger language plpgsql as $$
begin
  insert into commit_statuses (build) values (new.id)
  on conflict (build) do update set version = commit_statuses.version + 1, tries = 0,
    due_at = now(), problem = null, gave_up_at = null;
  return null;
end $$;
create trigger builds_status_new after insert on builds
  for each row when (new.reports_status) execute function note_commit_status();
create trigger builds_status_changed after update on builds
  for each row when (new.reports_status and old.state is distinct from new.state)
  execute function note_commit_status();
