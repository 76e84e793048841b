-- name: moveTimesBack
-- For tests: all that is stored happened, or will happen, $1 milliseconds earlier, as if so much time had passed
-- since. Wakes the workers that listen. Messages are locked by id, as every settle does.
with moved as (select $1::bigint * interval '1 millisecond' as back
), locked as materialized (
  select m.id from :"schema".pgqrs_messages m order by m.id for update
), messages as (
  update :"schema".pgqrs_messages m
  set due_at = m.due_at - moved.back, enqueued_at = m.enqueued_at - moved.back,
    leased_until = m.leased_until - moved.back, dequeued_at = m.dequeued_at - moved.back
  from moved where m.id in (select l.id from locked l)
  returning m.id
), archive as (
  update :"schema".pgqrs_archive a
  set due_at = a.due_at - moved.back, enqueued_at = a.enqueued_at - moved.back,
    dequeued_at = a.dequeued_at - moved.back, archived_at = a.archived_at - moved.back
  from moved
), workers as (
  update :"schema".pgqrs_workers w
  set started_at = w.started_at - moved.back, heartbeat_at = w.heartbeat_at - moved.back,
    stopped_at = w.stopped_at - moved.back
  from moved
), queues as (
  update :"schema".pgqrs_queues q
  set created_at = q.created_at - moved.back, paused_at = q.paused_at - moved.back
  from moved
  returning q.name
), upkeep as (
  update :"schema".pgqrs_upkeep u
  set done_at = u.done_at - moved.back
  from moved
)
select (select count(*) from messages) as messages, (select count(pg_notify(:'channel', q.name)) from queues q) as woken

-- name: workLeft
-- For tests: whether one of the queues $1 has a message that is ready, or that one of the workers $2 holds.
select exists (
  select from :"schema".pgqrs_messages m
  join :"schema".pgqrs_queues q on q.id = m.queue_id
  where q.name = any ($1::text[])
    and case when m.leased_until > clock_timestamp() then m.leased_by = any ($2::bigint[])
      else m.due_at <= clock_timestamp() and q.paused_at is null end
) as work_left
