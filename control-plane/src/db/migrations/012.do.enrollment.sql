-- Builders and seeders join as hosts do. The tokens that they had before are void: each needs a join token
-- of its role once.
alter table join_tokens add column role text not null default 'host'
  check (role in ('host', 'builder', 'seeder'));
alter table members add column role text not null default 'host'
  check (role in ('host', 'builder', 'seeder'));
-- Leases and reports are kept under the name: it is one key's until that key is revoked.
create unique index members_named on members (role, host) where role <> 'host';
drop table tokens;
