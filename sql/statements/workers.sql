-- name: insertWorker
insert into :"schema".pgqrs_workers (queue_id, name, hostname, pid)
values ($1::bigint, $2::text, $3::text, $4::integer)
returning id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at

-- name: getWorker
select id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at
from :"schema".pgqrs_workers where id = $1::bigint

-- name: listWorkers
select id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at
from :"schema".pgqrs_workers where id > $1::bigint order by id limit $2::integer offset $3::bigint

-- name: listWorkersOfQueue
select id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at
from :"schema".pgqrs_workers where queue_id = $4::bigint and id > $1::bigint
order by id limit $2::integer offset $3::bigint

-- name: countWorkers
select count(*) as count from :"schema".pgqrs_workers

-- name: countWorkersOfQueue
select count(*) as count from :"schema".pgqrs_workers where queue_id = $1::bigint

-- name: deleteWorker
delete from :"schema".pgqrs_workers where id = $1::bigint returning id

-- name: beatWorker
-- One that was taken for dead is ready again.
update :"schema".pgqrs_workers
set heartbeat_at = clock_timestamp(), state = case when state = 'dead' then 'ready' else state end
where id = $1::bigint and state <> 'stopped'
returning id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at

-- name: stopWorker
update :"schema".pgqrs_workers
set state = 'stopped', stopped_at = coalesce(stopped_at, clock_timestamp())
where id = $1::bigint
returning id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at

-- name: beatWorkers
-- A running worker says that it is alive, and learns what was asked of it. One that was taken for dead is ready
-- again.
update :"schema".pgqrs_workers
set heartbeat_at = clock_timestamp(), state = case when state = 'dead' then 'ready' else state end
where id = any ($1::bigint[])
returning id, state

-- name: askWorker
-- Asks a worker to be ready, suspended, or stopping; it obeys at its next heartbeat.
update :"schema".pgqrs_workers set state = $2::text
where id = $1::bigint and state in ('ready', 'suspended', 'stopping')
returning id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at

-- name: askWorkerToStop
-- Asks a worker that has beaten within $2 milliseconds to stop; of another one says that it has.
update :"schema".pgqrs_workers w
set state = case when was.beats then 'stopping' else 'stopped' end,
  stopped_at = case when was.beats then null else coalesce(w.stopped_at, clock_timestamp()) end
from (
  select id, state in ('ready', 'suspended', 'stopping')
    and heartbeat_at >= clock_timestamp() - $2::bigint * interval '1 millisecond' as beats
  from :"schema".pgqrs_workers where id = $1::bigint for update
) was
where w.id = was.id
returning w.id, w.queue_id, w.name, w.hostname, w.pid, w.state, w.started_at, w.heartbeat_at, w.stopped_at

-- name: stopWorkers
update :"schema".pgqrs_workers set state = 'stopped', stopped_at = coalesce(stopped_at, clock_timestamp())
where id = any ($1::bigint[])
returning id

-- name: markDeadWorkers
-- Workers that have not beaten for $1 milliseconds.
update :"schema".pgqrs_workers set state = 'dead'
where id = any (array(
  select w.id from :"schema".pgqrs_workers w
  where w.state in ('ready', 'suspended', 'stopping')
    and w.heartbeat_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
  order by w.id limit 1000 for update skip locked
))
returning id, queue_id, name

-- name: workerHealth
-- Alive: not stopped, and its last heartbeat is no older than $3 milliseconds.
select id, queue_id, name, hostname, pid, state, started_at, heartbeat_at, stopped_at,
  round(extract(epoch from clock_timestamp() - heartbeat_at) * 1000)::bigint as since_heartbeat_ms,
  state not in ('stopped', 'dead') and heartbeat_at >= clock_timestamp() - $3::bigint * interval '1 millisecond' as alive
from :"schema".pgqrs_workers
where ($1::bigint is null or id = $1::bigint) and ($2::bigint is null or queue_id = $2::bigint)
order by id limit 10000

-- name: releaseOfWorker
-- One step of a sweep over a queue's messages by id: what the worker $1 holds is ready again. Its attempt
-- counts: it was begun, and may have been what killed the worker.
with looked_at as materialized (
  select m.id, m.leased_by from :"schema".pgqrs_messages m
  where m.id > $2::bigint order by m.id limit $3::integer
), released as (
  update :"schema".pgqrs_messages m set leased_until = null, leased_by = null
  where m.leased_by = $1::bigint and m.leased_until is not null
    and m.id = any (array(select l.id from looked_at l where l.leased_by = $1::bigint order by l.id))
  returning m.id
)
select (select max(l.id) from looked_at l) as last_id, (select count(*) from released) as released

-- name: purgeWorkers
-- Workers that stopped more than $2 milliseconds ago, or that last beat so long ago, and never less than a minute:
-- a living one is not taken for dead. Of one queue where $1 is given.
delete from :"schema".pgqrs_workers w
where ($1::bigint is null or w.queue_id = $1::bigint)
  and (w.state = 'stopped' and w.stopped_at <= clock_timestamp() - $2::bigint * interval '1 millisecond'
    or w.heartbeat_at < clock_timestamp() - greatest($2::bigint, 60000) * interval '1 millisecond')
returning w.id
