-- What tests a build after it was made: command and patterns of report files. Null: nothing does.
alter table projects add column test jsonb;

-- What a test stage left, for each attempt that had one: cases and coverage as the builder read them.
create table build_tests (
  build integer not null references builds,
  attempt integer not null,
  reported_at timestamptz not null default now(),
  report jsonb not null,
  primary key (build, attempt)
);
