-- works-with: 2

-- How queues stand: one by name, or all. Counts up to p_limit messages of each queue, live and archived, one by one
-- (null: all of them). Where there are more, `estimated` is true: what is beyond is taken from the statistics of the
-- server, which cost nothing; pending and archived are at least what was counted. What an attempt holds, and what is
-- spent, is then counted among the first 10,000 of each priority, where it stands.
--
-- What waits in the live table with no attempt left counts as dead: it is never delivered again.
create function :"schema".pgqrs_queue_metrics(p_queue text, p_limit bigint)
returns table (
  id bigint, name text, pending bigint, leased bigint, delayed bigint, dead bigint, archived bigint,
  oldest_pending_age_ms bigint, estimated boolean
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $pgqrs$
#variable_conflict use_column
declare
  v_id bigint;
  v_name text;
  v_now timestamptz;
  v_spent bigint;
  v_oldest timestamptz;
  v_later bigint;
  v_due bigint;
  v_all_due boolean;
  v_rows bigint;
  v_priority bigint;
begin
  for v_id, v_name in
    select q.id, q.name from :"schema".pgqrs_queues q where p_queue is null or q.name = p_queue order by q.name
  loop
    id := v_id;
    name := v_name;
    v_now := clock_timestamp();
    estimated := false;
    select count(*), count(*) filter (where s.state = 'pending'), count(*) filter (where s.state = 'leased'),
        count(*) filter (where s.state = 'delayed'), count(*) filter (where s.state = 'spent'),
        min(s.due_at) filter (where s.state = 'pending')
      into v_rows, pending, leased, delayed, v_spent, v_oldest
      from (
        select m.due_at, case
          when m.leased_until > v_now then 'leased'
          when m.attempt - m.given_back >= m.max_attempts then 'spent'
          when m.due_at > v_now then 'delayed'
          else 'pending' end as state
        from :"schema".pgqrs_messages m where m.queue_id = v_id
        order by m.priority, m.due_at, m.id limit p_limit
      ) s;
    if v_rows >= p_limit then
      estimated := true;
      -- Behind the head of each priority nothing is held; and the oldest may be of any.
      leased := 0;
      v_spent := 0;
      v_later := 0;
      v_due := 0;
      v_all_due := true;
      v_priority := -2147483649;
      loop
        select m.priority into v_priority from :"schema".pgqrs_messages m
          where m.queue_id = v_id and m.priority > v_priority order by m.priority limit 1;
        exit when not found;
        select leased + count(*) filter (where h.held), v_spent + count(*) filter (where h.spent and not h.held),
            least(v_oldest, min(h.due_at) filter (where not h.held and not h.spent)), v_due + count(*), v_all_due and count(*) < 10000
          into leased, v_spent, v_oldest, v_due, v_all_due
          from (
            select m.due_at, coalesce(m.leased_until > v_now, false) as held, m.attempt - m.given_back >= m.max_attempts as spent
            from :"schema".pgqrs_messages m
            where m.queue_id = v_id and m.priority = v_priority::integer and m.due_at <= v_now
            order by m.due_at, m.id limit 10000
          ) h;
        select v_later + count(*) into v_later from (
          select from :"schema".pgqrs_messages m
          where m.queue_id = v_id and m.priority = v_priority::integer and m.due_at > v_now
          order by m.due_at, m.id limit p_limit - v_later) l;
      end loop;
      v_rows := :"schema".pgqrs_estimate(v_id, null);
      -- Whichever of the two is known leaves the other.
      delayed := case
        when v_later < p_limit then v_later
        else greatest(v_later, case when v_all_due then v_rows - v_due else :"schema".pgqrs_estimate(v_id, v_now) end) end;
      pending := case
        when v_all_due then v_due - leased - v_spent
        else greatest(v_due - leased - v_spent, v_rows - delayed - leased - v_spent) end;
    end if;
    select count(*) into dead from (
      select from :"schema".pgqrs_archive a where a.queue_id = v_id and a.outcome = 'dead'
      order by a.archived_at limit p_limit) d;
    select count(*) into v_rows from (
      -- All of them, by the index alone; telling the outcomes apart would read each.
      select from :"schema".pgqrs_archive a where a.queue_id = v_id order by a.archived_at limit p_limit) a;
    if v_rows >= p_limit then
      estimated := true;
      v_rows := greatest(v_rows, :"schema".pgqrs_estimate_archived(v_id));
    end if;
    archived := greatest(0, v_rows - dead);
    dead := dead + v_spent;
    oldest_pending_age_ms := round(extract(epoch from clock_timestamp() - v_oldest) * 1000)::bigint;
    return next;
  end loop;
end
$pgqrs$;

-- How many live messages of a queue the statistics make it: of all, or of those that are due after p_after.
create function :"schema".pgqrs_estimate(p_queue_id bigint, p_after timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $pgqrs$
declare
  v_plan json;
begin
  execute format('explain (format json) select from %I.pgqrs_messages m where m.queue_id = %s', :'schema', p_queue_id)
    || case when p_after is null then '' else format(' and m.due_at > %L', p_after) end into v_plan;
  return (v_plan->0->'Plan'->>'Plan Rows')::bigint;
end
$pgqrs$;

-- The same of the archive.
create function :"schema".pgqrs_estimate_archived(p_queue_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $pgqrs$
declare
  v_plan json;
begin
  execute format('explain (format json) select from %I.pgqrs_archive a where a.queue_id = %s', :'schema', p_queue_id)
    into v_plan;
  return (v_plan->0->'Plan'->>'Plan Rows')::bigint;
end
$pgqrs$;
