-- Builds that are looked up among very many. What Postgres thinks of a project's number of builds is the
-- mean of all projects: for one with few of a million it walked along the primary key past everybody
-- else's. `listBuilds` asks for a range of both columns, in their order, which no other index gives.
drop index builds_of_project;
create index builds_of_project on builds (project, id);

-- The commits that `builds_live` doesn't have: whether a branch's head was ever built is asked for every
-- watched project again and again, and read all its builds. Enters when a build ends without success.
create index builds_over on builds (project, commit_id)
  where forced or state not in ('QUEUED', 'BUILDING', 'REPLICATING', 'SUCCEEDED');

-- Builds of what another environment runs, for automatic promotion, which is looked for every 2 s.
create index builds_of_artifact on builds (artifact, id) where state = 'SUCCEEDED';
