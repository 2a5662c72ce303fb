-- Logs leave Postgres: what has come together of one is put into the store as a segment, and its rows
-- go. A chain of hashes says that no segment was changed, left out or put elsewhere.
create table log_segments (
  build integer not null references builds,
  position bigint not null,
  bytes integer not null check (bytes > 0),
  -- Of the object in the store.
  key text not null,
  -- BLAKE3 of the chain before and the digest of this segment.
  chain bytea not null,
  primary key (build, position)
);
