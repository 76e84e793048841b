-- name: insertArchived
insert into :"schema".pgqrs_archive
  (id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, priority, attempt, max_attempts, outcome, archived_by,
   payload, headers, last_error)
values (
  coalesce($1::bigint, nextval(pg_get_serial_sequence(format('%I.%I', :'schema', 'pgqrs_messages'), 'id'))),
  $2::bigint, coalesce($3::timestamptz, clock_timestamp()), coalesce($3::timestamptz, clock_timestamp()),
  $4::timestamptz, clock_timestamp(), coalesce($5::integer, 0), coalesce($6::integer, 0), coalesce($7::integer, 5),
  coalesce($8::text, 'archived'), $9::text, $10::text::jsonb, $11::text::jsonb, $12::text)
returning *

-- name: getArchived
select * from :"schema".pgqrs_archive where id = $1::bigint order by archived_at desc limit 1

-- name: listArchived
select * from :"schema".pgqrs_archive where id > $1::bigint order by id limit $2::integer offset $3::bigint

-- name: listArchivedOfQueue
-- The most recent first.
select * from :"schema".pgqrs_archive where queue_id = $1::bigint
order by archived_at desc, id desc limit $2::integer offset $3::bigint

-- name: listDead
-- The most recent first.
select * from :"schema".pgqrs_archive where queue_id = $1::bigint and outcome = 'dead'
order by archived_at desc, id desc limit $2::integer offset $3::bigint

-- name: deleteArchived
delete from :"schema".pgqrs_archive where id = $1::bigint returning id

-- name: countArchived
select count(*) as count from :"schema".pgqrs_archive

-- name: countArchivedOfQueue
select count(*) as count from :"schema".pgqrs_archive where queue_id = $1::bigint

-- name: countDead
select count(*) as count from :"schema".pgqrs_archive where queue_id = $1::bigint and outcome = 'dead'

-- name: purgeArchived
-- One step of a purge: at most $2 rows of the queue with one of the outcomes $3, the oldest first.
delete from :"schema".pgqrs_archive a
where a.queue_id = $1::bigint and a.outcome = any ($3::text[]) and a.id = any (array(
  select c.id from :"schema".pgqrs_archive c
  where c.queue_id = $1::bigint and c.outcome = any ($3::text[])
  order by c.archived_at, c.id limit $2::integer for update skip locked
))
returning a.id

-- name: burySpent
select :"schema".pgqrs_bury_spent($1::bigint) as buried
