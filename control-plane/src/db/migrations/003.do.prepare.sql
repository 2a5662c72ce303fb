-- What fetches a build's dependencies: command, hosts that it may reach, lock files. Null: nothing does.
alter table projects add column prepare jsonb;
