-- name: verifyColumns
select c.relname as table_name, a.attname as column_name,
  concat(
    pg_catalog.format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then ' not null' end,
    case when a.attidentity <> '' then ' identity' end,
    case when a.attgenerated <> '' then ' generated'
      when d.adbin is not null then ' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) end) as type
from pg_catalog.pg_attribute a
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relname like 'pgqrs\_%' and c.relkind in ('r', 'p')
  and not c.relispartition and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attname

-- name: verifyIndexes
select t.relname as table_name, i.relname as index_name, x.indisvalid as valid,
  array_to_string(array(
    select pg_catalog.pg_get_indexdef(x.indexrelid, k, true) from generate_series(1, x.indnkeyatts) k), ', ') as columns
from pg_catalog.pg_index x
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_class t on t.oid = x.indrelid
join pg_catalog.pg_namespace n on n.oid = t.relnamespace
where n.nspname = :'schema' and t.relname like 'pgqrs\_%' and not t.relispartition
order by i.relname

-- name: verifyConstraints
select k.conname as constraint_name, c.relname as table_name
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relname like 'pgqrs\_%' and not c.relispartition
  and k.contype in ('c', 'f', 'p', 'u') and k.convalidated
order by 2, 1

-- name: verifyFunctions
-- Those that run with the rights of their owner say so, and whether everybody may call them. With a fingerprint of what
-- a function does: its text, without the schema's name and the channel's that were put in, its defaults and settings.
select concat(p.proname, '(', pg_catalog.pg_get_function_identity_arguments(p.oid), ')',
    case when p.prosecdef then ' as its owner' end,
    case when p.prosecdef and has_function_privilege('public', p.oid, 'execute') then ', for everybody' end)
  as function_name,
  left(md5(concat_ws(' ',
    replace(replace(replace(p.prosrc, $pgqrs$:"schema"$pgqrs$, '<schema>'), $pgqrs$:'schema'$pgqrs$, '<schema>'),
      $pgqrs$:'channel'$pgqrs$, '<channel>'),
    pg_catalog.pg_get_expr(p.proargdefaults, 0), p.proretset, p.provolatile, p.proisstrict,
    array_to_string(p.proconfig, ' '))), 12) as fingerprint
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = :'schema' and p.proname like 'pgqrs\_%'
order by 1

-- name: verifyPartitions
-- Those by time come and go.
select c.relname as partition_name, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relname like 'pgqrs\_%' and c.relispartition and c.relkind = 'r'
  and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
order by 1

-- name: verifyTriggers
-- A trigger of a partitioned table is enabled when it is so on each partition.
select t.tgname as trigger_name, c.relname as table_name,
  t.tgenabled <> 'D'
    and not exists (select from pg_catalog.pg_trigger p where p.tgparentid = t.oid and p.tgenabled = 'D') as enabled
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = :'schema' and c.relname like 'pgqrs\_%' and not t.tgisinternal
  and not c.relispartition
order by 2, 1

-- name: verifyOrphans
-- Queue ids that rows point to and that are no queue's. One probe of an index for each queue id that occurs.
with recursive message_queues(id) as (
  (select m.queue_id from :"schema".pgqrs_messages m order by m.queue_id limit 1)
  union all
  select (select m.queue_id from :"schema".pgqrs_messages m where m.queue_id > q.id order by m.queue_id limit 1)
  from message_queues q where q.id is not null
), archive_queues(id) as (
  (select a.queue_id from :"schema".pgqrs_archive a order by a.queue_id limit 1)
  union all
  select (select a.queue_id from :"schema".pgqrs_archive a where a.queue_id > q.id order by a.queue_id limit 1)
  from archive_queues q where q.id is not null
), pointing(table_name, id) as (
  select 'pgqrs_messages', id from message_queues
  union all select 'pgqrs_archive', id from archive_queues
  union all select distinct 'pgqrs_workers', w.queue_id from :"schema".pgqrs_workers w
)
select p.table_name, p.id as queue_id from pointing p
where p.id is not null and not exists (select from :"schema".pgqrs_queues q where q.id = p.id)
order by 1, 2 limit 100
