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
  applied_at timestamptz not null default clock_timestamp()
)

-- name: listMigrations
select version, name, checksum, applied_by, applied_at from :"schema".pgqrs_migrations order by version

-- name: insertMigration
insert into :"schema".pgqrs_migrations (version, name, checksum, applied_by)
values ($1::integer, $2::text, $3::text, $4::text)
