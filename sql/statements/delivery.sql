-- name: enqueueBatch
-- One row for the batch: a row for each message would cost a quarter of the time. The parameter is jsonb from the
-- beginning, here and below: by way of text it would be copied twice more.
select queue_id, enqueued_at, array_agg(id) as ids, array_agg(max_attempts) as max_attempts,
  case when bool_or(due_at <> enqueued_at) then array_agg(due_at) end as due_at,
  case when $3::boolean then pg_notify(:'channel', $1::text) end as notified
from :"schema".pgqrs_enqueue_batch($1::text, $2::jsonb)
group by queue_id, enqueued_at

-- name: enqueuePlain
-- Messages that are nothing but their payloads.
select e.queue_id, e.enqueued_at, e.max_attempts, e.ids,
  case when $3::boolean then pg_notify(:'channel', $1::text) end as notified
from :"schema".pgqrs_enqueue_plain($1::text, $2::jsonb) e

-- name: claim
-- Times in their binary form, and what is the same for all once: text is dear on both sides (docs/adr/0010).
select c.queue_id, c.priority, c.leased_until, c.dequeued_at, c.walked, c.ids,
  case when array_remove(c.max_attempts, c.max_attempts[1]) = '{}' then c.max_attempts[:1] else c.max_attempts end
    as max_attempts,
  encode(array_send(c.due), 'base64') as due, encode(array_send(nullif(c.enqueued, c.due)), 'base64') as enqueued,
  c.payloads, pg_column_size(c.payloads) as bytes, c.details, c.cut
from :"schema".pgqrs_claim_batch($1::text, $2::integer, $3::bigint, $4::bigint, $5::integer[], $6::timestamptz[], $7::integer) c

-- name: claimType
select * from :"schema".pgqrs_claim_type($1::text, $2::integer, $3::bigint, $4::bigint, $5::text)

-- name: archiveHeld
-- Null stands for all of them.
select :"schema".pgqrs_archive_batch($1::bigint[], $2::integer[], $3::text, $4::text[]) as accepted

-- name: deleteHeld
select :"schema".pgqrs_delete_batch($1::bigint[], $2::integer[]) as accepted

-- name: releaseHeld
select array(select h.n from :"schema".pgqrs_release_held($1::bigint[], $2::integer[], $3::bigint[]) as h(n)) as accepted

-- name: extendHeld
select array(select h.n from :"schema".pgqrs_extend_held($1::bigint[], $2::integer[], $3::bigint[]) as h(n)) as accepted

-- name: failHeld
select retried, dead from :"schema".pgqrs_fail_batch($1::bigint[], $2::integer[], $3::text[], $4::bigint[])

-- name: renewHeld
select array(select h.n from :"schema".pgqrs_renew_held($1::bigint[], $2::integer[], $3::bigint[]) as h(n)) as accepted

-- name: claimMany
select c.queue_id, c.priority, c.leased_until, c.dequeued_at, c.walked, c.ids,
  case when array_remove(c.max_attempts, c.max_attempts[1]) = '{}' then c.max_attempts[:1] else c.max_attempts end
    as max_attempts,
  encode(array_send(c.due), 'base64') as due, encode(array_send(nullif(c.enqueued, c.due)), 'base64') as enqueued,
  c.payloads, pg_column_size(c.payloads) as bytes, c.details, c.cut
from :"schema".pgqrs_claim_batches($1::text::jsonb, $2::integer) c

-- name: nextDue
select :"schema".pgqrs_next_due($1::text[]) as in_ms

-- name: notify
-- Wakes the workers that listen: once for each of these queues.
select pg_notify(:'channel', q) from unnest($1::text[]) q

-- name: listen
listen :"channel"

-- name: postpone
-- A producer's extendVisibility by id.
select p.id from :"schema".pgqrs_postpone($1::text, $2::bigint, $3::bigint) as p(id)

-- name: fateOf
-- What became of messages: live ones, with whether an attempt holds them, and settled ones. For a settle whose
-- answer was lost with its connection.
select m.id, m.attempt, m.leased_until is not null as held, null as outcome
from :"schema".pgqrs_messages m where m.id = any ($1::bigint[])
union all
select a.id, a.attempt, false, a.outcome from :"schema".pgqrs_archive a where a.id = any ($1::bigint[])

-- name: isLive
select m.id from :"schema".pgqrs_messages m where m.id = $1::bigint

-- name: outcomeOf
-- For a producer that waits, who may read no payload.
select a.outcome, a.result, a.last_error from :"schema".pgqrs_archive a where a.id = $1::bigint
order by a.archived_at desc limit 1

-- name: removeMessage
select :"schema".pgqrs_remove($1::bigint, $2::bigint, $3::boolean, $4::text, $5::boolean) as result

-- name: redrive
select r.id from :"schema".pgqrs_redrive($1::text, $2::bigint[], $3::integer) as r(id)
