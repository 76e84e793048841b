-- name: insertQueue
insert into :"schema".pgqrs_queues (name, max_attempts, on_success)
values ($1::text, coalesce($2::integer, 5), coalesce($3::text, 'archive'))
on conflict (name) do nothing
returning id, name, max_attempts, on_success, paused_at, created_at

-- name: getQueue
select id, name, max_attempts, on_success, paused_at, created_at from :"schema".pgqrs_queues where id = $1::bigint

-- name: getQueueByName
select id, name, max_attempts, on_success, paused_at, created_at from :"schema".pgqrs_queues where name = $1::text

-- name: listQueues
select id, name, max_attempts, on_success, paused_at, created_at from :"schema".pgqrs_queues
where id > $1::bigint order by id limit $2::integer offset $3::bigint

-- name: listQueuesByName
select id, name, max_attempts, on_success, paused_at, created_at from :"schema".pgqrs_queues
where name > $1::text order by name limit $2::integer

-- name: countQueues
select count(*) as count from :"schema".pgqrs_queues

-- name: countQueuesById
select count(*) as count from :"schema".pgqrs_queues where id = $1::bigint

-- name: lockQueue
select id, name, max_attempts, on_success, paused_at, created_at from :"schema".pgqrs_queues where name = $1::text for update

-- name: deleteQueue
delete from :"schema".pgqrs_queues where id = $1::bigint returning id

-- name: clearMessages
-- Locked by id, as the settles lock them, which this waits for.
delete from :"schema".pgqrs_messages where id = any (array(
  select m.id from :"schema".pgqrs_messages m where m.queue_id = $1::bigint order by m.id for update
))

-- name: clearArchive
delete from :"schema".pgqrs_archive where queue_id = $1::bigint

-- name: clearWorkers
-- Those that stopped; all of them where $2 says so.
delete from :"schema".pgqrs_workers where queue_id = $1::bigint and ($2::boolean or state = 'stopped')

-- name: pauseQueue
update :"schema".pgqrs_queues set paused_at = coalesce(paused_at, clock_timestamp()) where name = $1::text
returning id, name, max_attempts, on_success, paused_at, created_at

-- name: resumeQueue
update :"schema".pgqrs_queues set paused_at = null where name = $1::text
returning id, name, max_attempts, on_success, paused_at, created_at
