-- name: insertQueue
insert into :"schema".pgqrs_queues (name, max_attempts, on_success, retention, dead_retention)
values ($1::text, coalesce($2::integer, 5), coalesce($3::text, 'archive'), $4::bigint * interval '1 millisecond',
  $5::bigint * interval '1 millisecond')
on conflict (name) do nothing
returning id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention

-- name: getQueue
select id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
from :"schema".pgqrs_queues where id = $1::bigint

-- name: getQueueByName
select id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
from :"schema".pgqrs_queues where name = $1::text

-- name: listQueues
select id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
from :"schema".pgqrs_queues
where id > $1::bigint order by id limit $2::integer offset $3::bigint

-- name: listQueuesByName
select id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
from :"schema".pgqrs_queues
where name > $1::text order by name limit $2::integer

-- name: countQueues
select count(*) as count from :"schema".pgqrs_queues

-- name: countQueuesById
select count(*) as count from :"schema".pgqrs_queues where id = $1::bigint

-- name: lockQueue
select id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
from :"schema".pgqrs_queues where name = $1::text for update

-- name: updateQueue
-- The settings that are given; the two retentions, which may be null, where $4 and $6 say so.
update :"schema".pgqrs_queues
set max_attempts = coalesce($2::integer, max_attempts), on_success = coalesce($3::text, on_success),
  retention = case when $4::boolean then $5::bigint * interval '1 millisecond' else retention end,
  dead_retention = case when $6::boolean then $7::bigint * interval '1 millisecond' else dead_retention end
where name = $1::text
returning id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention

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
returning id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention

-- name: resumeQueue
update :"schema".pgqrs_queues set paused_at = null where name = $1::text
returning id, name, max_attempts, on_success, paused_at, created_at,
  (extract(epoch from retention) * 1000)::bigint as retention, (extract(epoch from dead_retention) * 1000)::bigint as dead_retention
