-- name: insertMessage
insert into :"schema".pgqrs_messages (queue_id, payload, priority, due_at, headers, max_attempts)
select $1::bigint, $2::text::jsonb, coalesce($3::integer, 0),
  greatest(clock_timestamp(), coalesce($4::timestamptz, clock_timestamp())), $5::text::jsonb,
  coalesce($6::integer, (select q.max_attempts from :"schema".pgqrs_queues q where q.id = $1::bigint), 5)
returning *

-- name: getMessage
select * from :"schema".pgqrs_messages where id = $1::bigint

-- name: lockDequeued
-- When each of these messages was last dequeued, to the microsecond; locked until the transaction ends.
select id, dequeued_at::text as dequeued from :"schema".pgqrs_messages where id = any ($1::bigint[])
order by id for update

-- name: listMessages
select * from :"schema".pgqrs_messages where id > $1::bigint order by id limit $2::integer offset $3::bigint

-- name: listMessagesOfQueue
-- In the order of delivery, delayed and leased ones included.
select * from :"schema".pgqrs_messages where queue_id = $1::bigint
order by priority, due_at, id limit $2::integer offset $3::bigint

-- name: countMessages
select count(*) as count from :"schema".pgqrs_messages

-- name: countMessagesOfQueue
select count(*) as count from :"schema".pgqrs_messages where queue_id = $1::bigint

-- name: purgeMessages
-- One step of a purge: at most $2 messages of the queue, held ones included.
delete from :"schema".pgqrs_messages
where id = any (array(
  select m.id from :"schema".pgqrs_messages m where m.queue_id = $1::bigint
  order by m.priority, m.due_at, m.id limit $2::integer for update skip locked
))
returning id
