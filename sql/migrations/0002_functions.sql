-- What happens to a message, as functions: enqueue, claim, and the settles (archive, delete, release, fail).
--
-- Functions, because their plans are kept by the server's session, so that a claim costs the same through a
-- pooler that allows no prepared statements, and because their plans can be pinned: each has its planner
-- settings with it, and takes the one index that gives the order, whatever the statistics say (a plan that was
-- made while the table was empty would be a sequential scan and a sort).
--
-- Locks are taken in one order: the queue's row (key share), then messages by id, then the archive. A claim
-- locks in the order of delivery, and skips what is locked: it never waits.
--
-- Each has its own search_path, so that nothing in another schema stands in for what it calls.
--
-- SQLSTATEs: PQ001 the queue does not exist.

-- Adds messages in the order given: [{"p": payload, "q": priority, "d": delay in ms, "a": due at, "h": headers,
-- "m": max attempts}, ...]; all but "p" may be missing.
create function :"schema".pgqrs_enqueue_batch(p_queue text, p_messages jsonb)
returns table (
  id bigint, queue_id bigint, due_at timestamptz, enqueued_at timestamptz, priority integer, max_attempts integer
)
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
#variable_conflict use_column
declare
  v_queue_id bigint;
  v_max_attempts integer;
  v_now timestamptz;
begin
  select q.id, q.max_attempts into v_queue_id, v_max_attempts
    from :"schema".pgqrs_queues q where q.name = p_queue for key share;
  if not found then
    raise exception using
      errcode = 'PQ001',
      message = format('queue %L does not exist', p_queue),
      hint = 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).';
  end if;
  v_now := clock_timestamp();
  perform set_config('pgqrs.checked', 'on', true);
  return query
    insert into :"schema".pgqrs_messages as m
      (queue_id, due_at, enqueued_at, priority, max_attempts, payload, headers)
    select
      v_queue_id,
      greatest(v_now, coalesce((e.value->>'a')::timestamptz,
        v_now + (e.value->>'d')::double precision * interval '1 millisecond')),
      v_now,
      coalesce((e.value->>'q')::integer, 0),
      coalesce((e.value->>'m')::integer, v_max_attempts),
      e.value->'p',
      nullif(e.value->'h', 'null'::jsonb)
    from jsonb_array_elements(p_messages) e
    returning m.id, m.queue_id, m.due_at, m.enqueued_at, m.priority, m.max_attempts;
  perform set_config('pgqrs.checked', '', true);
end
$pgqrs$;

-- Adds one message, from SQL: a trigger, a script, another language. Part of the caller's transaction.
create function :"schema".pgqrs_enqueue(
  queue text,
  payload jsonb,
  delay interval default null,
  priority integer default 0,
  headers jsonb default null,
  max_attempts integer default null,
  due_at timestamptz default null
) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
begin
  if payload is null then
    raise exception using
      errcode = 'null_value_not_allowed',
      message = 'pgqrs_enqueue: payload is null',
      hint = $hint$For a message without content give '{}' or 'null'::jsonb.$hint$;
  end if;
  if delay is not null and due_at is not null then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = 'pgqrs_enqueue: delay and due_at are two ways to say the same',
      hint = 'Give one of them.';
  end if;
  if headers is not null and jsonb_typeof(headers) <> 'object' then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = 'pgqrs_enqueue: headers must be a JSON object';
  end if;
  return (
    select b.id from :"schema".pgqrs_enqueue_batch(queue, jsonb_build_array(jsonb_build_object(
      'p', payload, 'q', priority, 'h', headers, 'm', max_attempts,
      'a', coalesce(due_at, clock_timestamp() + delay)))) b
  );
end
$pgqrs$;

comment on function :"schema".pgqrs_enqueue(text, jsonb, interval, integer, jsonb, integer, timestamptz) is
  'Adds one message to a queue and returns its id. Lower priority first; due after delay, or at due_at.';

-- Moves messages that the given attempts hold to the archive.
--
-- This and the other settles return the positions (from 1) of what they accepted in the arrays they were given.
-- A message that is named twice is accepted once, at its first position.
create function :"schema".pgqrs_archive_held(
  p_ids bigint[], p_attempts integer[], p_outcome text, p_archived_by text[], p_errors text[], p_results text[]
) returns setof integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
begin
  perform set_config('pgqrs.checked', 'on', true);
  return query
    with settled as (
      delete from :"schema".pgqrs_messages m
      using (
        select u.id, u.attempt, u.archived_by, u.error, u.result, u.n
        from unnest(p_ids, p_attempts, p_archived_by, p_errors, p_results)
          with ordinality u(id, attempt, archived_by, error, result, n)
        order by u.id, u.n
      ) u
      where m.id = u.id and m.attempt = u.attempt and m.leased_until is not null
      returning m.*, u.archived_by, u.error, u.result, u.n
    ), kept as (
      insert into :"schema".pgqrs_archive (
        id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, leased_by, priority, attempt, given_back,
        max_attempts, outcome, archived_by, payload, headers, result, last_error)
      select s.id, s.queue_id, s.due_at, s.enqueued_at, s.dequeued_at, clock_timestamp(), s.leased_by, s.priority,
        s.attempt, s.given_back, s.max_attempts, p_outcome, s.archived_by, s.payload, s.headers, s.result::jsonb,
        coalesce(s.error, s.last_error)
      from settled s
    )
    select s.n::integer from settled s;
  perform set_config('pgqrs.checked', '', true);
end
$pgqrs$;

-- Leases up to p_count messages that are due, in the order of delivery: priority, due_at, id.
--
-- The priorities that are there are looked up one by one (a loose index scan), so that the delayed messages of
-- one priority are never walked on the way to the next. Where p_priorities is given, only these are looked at,
-- each from its mark in p_marks on: a hint by which a consumer does not walk again, from the head, the dead rows
-- that somebody's old snapshot keeps, or the rows that others have leased. `walked` tells how many entries of
-- the index were read to find the row and those before it, by which the consumer knows when the hint pays.
--
-- A message whose attempts are used up and whose lease has run out goes to the dead letters instead.
create function :"schema".pgqrs_claim(
  p_queue text, p_count integer, p_lease_ms bigint, p_worker_id bigint,
  p_priorities integer[], p_marks timestamptz[]
) returns table (
  id bigint, queue_id bigint, due_at timestamptz, enqueued_at timestamptz, leased_until timestamptz,
  dequeued_at timestamptz, leased_by bigint, priority integer, attempt integer, given_back integer,
  max_attempts integer, payload jsonb, headers jsonb, last_error text, walked bigint
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $pgqrs$
#variable_conflict use_column
declare
  v_index constant oid := (quote_ident(:'schema') || '.pgqrs_messages_order')::regclass;
  v_read bigint := pg_stat_get_xact_tuples_returned(v_index);
  v_queue_id bigint;
  v_paused boolean;
  v_now timestamptz := clock_timestamp();
  v_until timestamptz;
  v_left integer := p_count;
  v_priority bigint := -2147483649;
  v_mark timestamptz := '-infinity';
  v_step integer := 0;
  v_found integer;
  v_claimed bigint[];
  v_spent bigint[];
  v_spent_attempts integer[];
begin
  select q.id, q.paused_at is not null into v_queue_id, v_paused
    from :"schema".pgqrs_queues q where q.name = p_queue;
  if not found then
    raise exception using
      errcode = 'PQ001',
      message = format('queue %L does not exist', p_queue),
      hint = 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).';
  end if;
  if v_paused then
    return;
  end if;

  while v_left > 0 loop
    if p_priorities is null then
      select m.priority into v_priority from :"schema".pgqrs_messages m
        where m.queue_id = v_queue_id and m.priority > v_priority
        order by m.priority limit 1;
      exit when not found;
    else
      v_step := v_step + 1;
      exit when v_step > cardinality(p_priorities);
      v_priority := p_priorities[v_step];
      v_mark := p_marks[v_step];
    end if;

    loop
      select
          count(*),
          array_agg(c.id) filter (where not c.spent),
          array_agg(c.id) filter (where c.spent),
          array_agg(c.attempt) filter (where c.spent)
        into v_found, v_claimed, v_spent, v_spent_attempts
        from (
          select m.id, m.attempt, m.attempt - m.given_back >= m.max_attempts as spent
          from :"schema".pgqrs_messages m
          where m.queue_id = v_queue_id and m.priority = v_priority::integer
            and m.due_at >= v_mark and m.due_at <= v_now
            and (m.leased_until is null or m.leased_until <= v_now)
          order by m.due_at, m.id
          limit v_left
          for update skip locked
        ) c;
      exit when v_found = 0;

      if v_claimed is not null then
        -- From now, not from the beginning of a long walk; and the same for all that is claimed together.
        v_until := coalesce(v_until, clock_timestamp() + p_lease_ms * interval '1 millisecond');
        return query
          update :"schema".pgqrs_messages m
          set leased_until = v_until,
              leased_by = p_worker_id,
              dequeued_at = v_now,
              attempt = m.attempt + 1
          from unnest(v_claimed) as u(id)
          where m.id = u.id
          returning m.id, m.queue_id, m.due_at, m.enqueued_at, m.leased_until, m.dequeued_at, m.leased_by,
            m.priority, m.attempt, m.given_back, m.max_attempts, m.payload, m.headers, m.last_error,
            pg_stat_get_xact_tuples_returned(v_index) - v_read;
        v_left := v_left - cardinality(v_claimed);
      end if;

      exit when v_spent is null;
      perform :"schema".pgqrs_bury(v_spent, v_spent_attempts);
      exit when v_left <= 0;
    end loop;
  end loop;
end
$pgqrs$;

-- The same for several queues at once: [{"q": queue, "n": count, "l": lease in ms, "w": worker, "p": [priority, ...],
-- "m": [mark, ...]}, ...], in this order. A queue that does not exist is passed over.
create function :"schema".pgqrs_claim_many(p_wanted jsonb)
returns table (
  id bigint, queue_id bigint, due_at timestamptz, enqueued_at timestamptz, leased_until timestamptz,
  dequeued_at timestamptz, leased_by bigint, priority integer, attempt integer, given_back integer,
  max_attempts integer, payload jsonb, headers jsonb, last_error text, walked bigint
)
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
#variable_conflict use_column
declare
  v_one jsonb;
begin
  for v_one in select e.value from jsonb_array_elements(p_wanted) e loop
    if exists (select from :"schema".pgqrs_queues q where q.name = v_one->>'q') then
      return query select c.* from :"schema".pgqrs_claim(
        v_one->>'q', (v_one->>'n')::integer, (v_one->>'l')::bigint, (v_one->>'w')::bigint,
        case when v_one ? 'p' then array(select p.value::integer from jsonb_array_elements_text(v_one->'p') p) end,
        case when v_one ? 'm' then array(select p.value::timestamptz from jsonb_array_elements_text(v_one->'m') p) end
      ) c;
    end if;
  end loop;
end
$pgqrs$;

-- In how many milliseconds the next message of these queues will be due, of those that are not due yet; null when
-- there is none. One probe of the index for each queue and priority.
create function :"schema".pgqrs_next_due(p_queues text[]) returns double precision
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_now timestamptz := clock_timestamp();
  v_queue_id bigint;
  v_priority bigint;
  v_due timestamptz;
  v_next timestamptz;
begin
  for v_queue_id in
    select q.id from :"schema".pgqrs_queues q where q.name = any (p_queues) and q.paused_at is null
  loop
    v_priority := -2147483649;
    loop
      select m.priority into v_priority from :"schema".pgqrs_messages m
        where m.queue_id = v_queue_id and m.priority > v_priority
        order by m.priority limit 1;
      exit when not found;
      select m.due_at into v_due from :"schema".pgqrs_messages m
        where m.queue_id = v_queue_id and m.priority = v_priority::integer and m.due_at > v_now
        order by m.due_at limit 1;
      v_next := least(v_next, v_due);
    end loop;
  end loop;
  return extract(epoch from v_next - clock_timestamp()) * 1000;
end
$pgqrs$;

-- Puts messages whose last attempt was lost (its lease ran out) to the dead letters.
create function :"schema".pgqrs_bury(p_ids bigint[], p_attempts integer[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
begin
  -- Held by nobody: given back on behalf of a dead worker, or changed by plain SQL.
  update :"schema".pgqrs_messages m set leased_until = clock_timestamp()
    where m.id = any (p_ids) and m.leased_until is null;
  perform :"schema".pgqrs_archive_held(p_ids, p_attempts, 'dead', null, array(
    select concat('The lease of attempt ', m.attempt, ' ran out and no attempt is left: its consumer died, or took longer than the lease.',
        ' Before that: ' || m.last_error)
      from unnest(p_ids) with ordinality u(id, n)
      left join :"schema".pgqrs_messages m on m.id = u.id
      order by u.n
  ), null);
end
$pgqrs$;

-- Leases due messages whose payload is of one type (its top-level "type", or else "message_type"). Looks through
-- the queue until it has found enough: a tool for operators, not for workers.
create function :"schema".pgqrs_claim_type(
  p_queue text, p_count integer, p_lease_ms bigint, p_worker_id bigint, p_type text
) returns setof :"schema".pgqrs_messages
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_queue_id bigint;
  v_paused boolean;
  v_now timestamptz := clock_timestamp();
  v_claimed bigint[];
begin
  select q.id, q.paused_at is not null into v_queue_id, v_paused
    from :"schema".pgqrs_queues q where q.name = p_queue;
  if not found then
    raise exception using
      errcode = 'PQ001',
      message = format('queue %L does not exist', p_queue),
      hint = 'See the queues there are: pgqrs queue list.';
  end if;
  if v_paused then
    return;
  end if;
  v_claimed := array(
    select m.id from :"schema".pgqrs_messages m
    where m.queue_id = v_queue_id and m.due_at <= v_now
      and (m.leased_until is null or m.leased_until <= v_now)
      and m.attempt - m.given_back < m.max_attempts
      and coalesce(m.payload->>'type', m.payload->>'message_type') = p_type
    order by m.priority, m.due_at, m.id
    limit p_count
    for update skip locked
  );
  return query
    update :"schema".pgqrs_messages m
    set leased_until = clock_timestamp() + p_lease_ms * interval '1 millisecond',
        leased_by = p_worker_id,
        dequeued_at = v_now,
        attempt = m.attempt + 1
    from unnest(v_claimed) as u(id)
    where m.id = u.id
    returning m.*;
end
$pgqrs$;

-- The same for those of a queue that no claim has come by yet; looks at the first thousand due messages of each
-- priority, where whatever was claimed once stands. Returns how many.
create function :"schema".pgqrs_bury_spent(p_queue_id bigint) returns integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_now timestamptz := clock_timestamp();
  v_priority bigint := -2147483649;
  v_spent bigint[];
  v_spent_attempts integer[];
  v_buried integer := 0;
begin
  loop
    select m.priority into v_priority from :"schema".pgqrs_messages m
      where m.queue_id = p_queue_id and m.priority > v_priority
      order by m.priority limit 1;
    exit when not found;
    select array_agg(m.id), array_agg(m.attempt) into v_spent, v_spent_attempts
      from (
        select h.id from :"schema".pgqrs_messages h
        where h.queue_id = p_queue_id and h.priority = v_priority::integer and h.due_at <= v_now
        order by h.due_at, h.id limit 1000
      ) head
      join lateral (
        select s.id, s.attempt from :"schema".pgqrs_messages s
        where s.id = head.id and (s.leased_until is null or s.leased_until <= v_now) and s.attempt - s.given_back >= s.max_attempts
        for update skip locked
      ) m on true;
    if v_spent is not null then
      perform :"schema".pgqrs_bury(v_spent, v_spent_attempts);
      v_buried := v_buried + cardinality(v_spent);
    end if;
  end loop;
  return v_buried;
end
$pgqrs$;

-- Removes messages that the given attempts hold.
create function :"schema".pgqrs_delete_held(p_ids bigint[], p_attempts integer[]) returns setof integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
begin
  return query
    delete from :"schema".pgqrs_messages m
    using (
      select u.id, u.attempt, u.n from unnest(p_ids, p_attempts) with ordinality u(id, attempt, n)
      order by u.id, u.n
    ) u
    where m.id = u.id and m.attempt = u.attempt and m.leased_until is not null
    returning u.n::integer;
end
$pgqrs$;

-- Gives messages back: ready now, in their old place, or after a delay. The attempt does not count.
create function :"schema".pgqrs_release_held(p_ids bigint[], p_attempts integer[], p_delays_ms bigint[])
returns setof integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
begin
  return query
    update :"schema".pgqrs_messages m
    set leased_until = null,
        leased_by = null,
        given_back = m.given_back + 1,
        due_at = case when u.delay_ms > 0
          then clock_timestamp() + u.delay_ms * interval '1 millisecond' else m.due_at end
    from (
      select u.id, u.attempt, u.delay_ms, u.n
      from unnest(p_ids, p_attempts, p_delays_ms) with ordinality u(id, attempt, delay_ms, n)
      order by u.id, u.n
    ) u
    where m.id = u.id and m.attempt = u.attempt and m.leased_until is not null
    returning u.n::integer;
end
$pgqrs$;

-- Lengthens each lease by so many milliseconds, counted from now where the lease has run out already. An attempt
-- that is named twice is lengthened by both: this is no settle.
create function :"schema".pgqrs_extend_held(p_ids bigint[], p_attempts integer[], p_by_ms bigint[])
returns setof integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
begin
  return query
    with extended as (
      update :"schema".pgqrs_messages m
      set leased_until = greatest(m.leased_until, clock_timestamp()) + u.by_ms * interval '1 millisecond'
      from (
        select u.id, u.attempt, sum(u.by_ms)::bigint as by_ms, array_agg(u.n::integer) as places
        from unnest(p_ids, p_attempts, p_by_ms) with ordinality u(id, attempt, by_ms, n)
        group by u.id, u.attempt
        order by u.id
      ) u
      where m.id = u.id and m.attempt = u.attempt and m.leased_until is not null
      returning u.places
    )
    select unnest(e.places) from extended e;
end
$pgqrs$;

-- Renews leases: from now on for so long. A lease that has run out is not renewed.
create function :"schema".pgqrs_renew_held(p_ids bigint[], p_attempts integer[], p_lease_ms bigint[])
returns setof integer
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
begin
  return query
    update :"schema".pgqrs_messages m
    set leased_until = clock_timestamp() + u.lease_ms * interval '1 millisecond'
    from (
      select u.id, u.attempt, u.lease_ms, u.n
      from unnest(p_ids, p_attempts, p_lease_ms) with ordinality u(id, attempt, lease_ms, n)
      order by u.id, u.n
    ) u
    where m.id = u.id and m.attempt = u.attempt and m.leased_until > clock_timestamp()
    returning u.n::integer;
end
$pgqrs$;

-- Says that attempts failed. A message with an attempt left is ready again after its delay; one without, or
-- whose delay is null, becomes a dead letter.
create function :"schema".pgqrs_fail_held(
  p_ids bigint[], p_attempts integer[], p_errors text[], p_delays_ms bigint[]
) returns table (n integer, dead boolean)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $pgqrs$
#variable_conflict use_column
begin
  -- Two statements follow: without this the first would lock some of the ids and the second those between them.
  perform 1
    from (select u.id from unnest(p_ids) u(id) order by u.id) u
    join :"schema".pgqrs_messages m on m.id = u.id
    for update of m;
  return query
    update :"schema".pgqrs_messages m
    set leased_until = null,
        leased_by = null,
        last_error = u.error,
        due_at = clock_timestamp() + u.delay_ms * interval '1 millisecond'
    from (
      select u.id, u.attempt, u.error, u.delay_ms, u.n
      from unnest(p_ids, p_attempts, p_errors, p_delays_ms) with ordinality u(id, attempt, error, delay_ms, n)
      where u.delay_ms is not null
      order by u.id, u.n
    ) u
    where m.id = u.id and m.attempt = u.attempt and m.leased_until is not null
      and m.attempt - m.given_back < m.max_attempts
    returning u.n::integer, false;
  -- What is retried is held by nobody by now, so this takes exactly the others.
  return query
    select a.n, true from :"schema".pgqrs_archive_held(p_ids, p_attempts, 'dead', null, p_errors, null) a(n);
end
$pgqrs$;

-- An operator's delete or archive by id: of a message that nobody holds, or, forced, of any.
-- Returns 'done', 'held', or 'missing'.
create function :"schema".pgqrs_remove(
  p_queue_id bigint, p_id bigint, p_archive boolean, p_archived_by text, p_force boolean
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
declare
  v_message :"schema".pgqrs_messages;
begin
  select * into v_message from :"schema".pgqrs_messages m
    where m.id = p_id and (p_queue_id is null or m.queue_id = p_queue_id) for update;
  if not found then
    return 'missing';
  end if;
  if v_message.leased_until > clock_timestamp() and not p_force then
    return 'held';
  end if;
  if p_archive then
    -- Held for the moment by the attempt it has, so that the one way into the archive serves here too.
    update :"schema".pgqrs_messages m set leased_until = clock_timestamp() where m.id = p_id;
    perform :"schema".pgqrs_archive_held(array[p_id], array[v_message.attempt], 'archived', array[p_archived_by], null, null);
  else
    delete from :"schema".pgqrs_messages m where m.id = p_id;
  end if;
  return 'done';
end
$pgqrs$;

-- Puts dead letters back: ready now, with all their attempts before them. Their attempt goes on rising, so that
-- nobody who held them once can settle them now. The oldest first, p_limit at most; p_ids null means any.
create function :"schema".pgqrs_redrive(p_queue text, p_ids bigint[], p_limit integer) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
declare
  v_queue_id bigint;
  v_now timestamptz;
begin
  select q.id into v_queue_id from :"schema".pgqrs_queues q where q.name = p_queue for key share;
  if not found then
    raise exception using
      errcode = 'PQ001',
      message = format('queue %L does not exist', p_queue),
      hint = 'See the queues there are: pgqrs queue list.';
  end if;
  v_now := clock_timestamp();
  perform set_config('pgqrs.checked', 'on', true);
  return query
    with chosen as (
      select a.id from :"schema".pgqrs_archive a
      where a.queue_id = v_queue_id and a.outcome = 'dead' and (p_ids is null or a.id = any (p_ids))
      order by a.archived_at, a.id limit p_limit for update skip locked
    ), taken as (
      delete from :"schema".pgqrs_archive a
      where a.queue_id = v_queue_id and a.outcome = 'dead' and a.id = any (array(select c.id from chosen c))
      returning a.*
    )
    insert into :"schema".pgqrs_messages as m (
      id, queue_id, due_at, enqueued_at, dequeued_at, priority, attempt, given_back, max_attempts, payload, headers,
      last_error)
    select t.id, t.queue_id, v_now, t.enqueued_at, t.dequeued_at, t.priority, t.attempt, t.attempt, t.max_attempts,
      t.payload, t.headers, t.last_error
    from taken t
    returning m.id;
  perform set_config('pgqrs.checked', '', true);
end
$pgqrs$;
