-- name: queueMetrics
-- Of one queue by name, or of all where $1 is null; up to $2 messages of each are counted, and others estimated.
select * from :"schema".pgqrs_queue_metrics($1::text, $2::bigint)

-- name: exactQueueMetrics
-- The same, all counted. What waits in the live table with no attempt left counts as dead: it is never delivered again.
select q.id, q.name,
  coalesce(l.pending, 0) as pending, coalesce(l.leased, 0) as leased, coalesce(l.delayed, 0) as delayed,
  coalesce(l.spent, 0) + d.dead as dead, a.settled - d.dead as archived,
  l.oldest_pending_age_ms, false as estimated
from :"schema".pgqrs_queues q
left join lateral (
  select
    count(*) filter (where s.state = 'pending') as pending,
    count(*) filter (where s.state = 'leased') as leased,
    count(*) filter (where s.state = 'delayed') as delayed,
    count(*) filter (where s.state = 'spent') as spent,
    round(extract(epoch from clock_timestamp() - min(s.due_at) filter (where s.state = 'pending')) * 1000)::bigint
      as oldest_pending_age_ms
  from (
    select m.due_at, case
      when m.leased_until > clock_timestamp() then 'leased'
      when m.attempt - m.given_back >= m.max_attempts then 'spent'
      when m.due_at > clock_timestamp() then 'delayed'
      else 'pending' end as state
    from :"schema".pgqrs_messages m where m.queue_id = q.id
  ) s
) l on true
left join lateral (
  select count(*) as dead from :"schema".pgqrs_archive a where a.queue_id = q.id and a.outcome = 'dead'
) d on true
left join lateral (
  -- All rows, by the index alone; telling the outcomes apart would read each of them.
  select count(*) as settled from :"schema".pgqrs_archive a where a.queue_id = q.id
) a on true
where $1::text is null or q.name = $1::text
order by q.name
