-- name: schemaExists
select exists (select from pg_catalog.pg_namespace where nspname = :'schema') as schema_exists,
  exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = :'schema' and c.relname = 'pgqrs_migrations') as installed

-- name: createSchema
create schema if not exists :"schema"

-- name: installLock
-- One installation at a time for each schema of this database.
select pg_advisory_xact_lock(hashtextextended('pgqrs install ' || :'schema', 0))

-- name: createMigrations
create table if not exists :"schema".pgqrs_migrations (
  version integer primary key,
  name text not null,
  checksum text not null,
  applied_by text not null,
  applied_at timestamptz not null default clock_timestamp(),
  works_with integer
)

-- name: limitInstallation
-- For how long it waits for each lock, as others wait behind it for so long, and for how long its client may be silent.
select set_config('lock_timeout', $1::text, true), set_config('idle_in_transaction_session_timeout', $2::text, true)

-- name: addWorksWith
-- Until version 5 there was no such column.
alter table :"schema".pgqrs_migrations add column if not exists works_with integer

-- name: listMigrations
-- Those of older versions do not say with which libraries they work: with those that know them.
select m.version, m.name, m.checksum, m.applied_by, m.applied_at,
  coalesce((to_jsonb(m)->>'works_with')::integer, m.version) as works_with
from :"schema".pgqrs_migrations m order by m.version

-- name: insertMigration
insert into :"schema".pgqrs_migrations (version, name, checksum, applied_by, works_with)
values ($1::integer, $2::text, $3::text, $4::text, $5::integer)

-- name: lockTables
-- In the order in which everybody locks, so that no call under way waits for this one while this one waits for it.
-- What is damaged is dropped all the same.
do $pgqrs$
begin
  lock table :"schema".pgqrs_queues, :"schema".pgqrs_messages, :"schema".pgqrs_archive, :"schema".pgqrs_workers
    in access exclusive mode;
exception when undefined_table then
  null;
end
$pgqrs$

-- name: dropTables
-- Children before parents; what is not there is passed over. The schema itself stays.
drop table if exists :"schema".pgqrs_archive, :"schema".pgqrs_messages, :"schema".pgqrs_workers,
  :"schema".pgqrs_queues, :"schema".pgqrs_grants, :"schema".pgqrs_upkeep, :"schema".pgqrs_migrations

-- name: listFunctions
-- Functions may need the tables (they return their rows) and tables the functions (of their triggers).
-- The schema's place is left open (and hidden from being filled here): each statement is rendered when it runs.
select concat('drop function if exists :', '"schema".', quote_ident(p.proname),
    '(', pg_catalog.pg_get_function_identity_arguments(p.oid), ')') as statement, p.proname as name,
  p.prorettype = 'trigger'::regtype as of_trigger
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = :'schema' and p.proname like 'pgqrs\_%'
order by p.oid
