-- works-with: 2

-- A claim waits for its turn for a short time only, and then asks again (docs/adr/0012).

-- Leases up to p_count messages that are due, in the order of delivery: priority, due_at, id. Gives a row for each
-- run of them that has one priority, in this order, with
--   ids, max_attempts, due, enqueued  an element for each message
--   payloads     a JSON array
--   details      by id, of those that are no first attempts, or have any of it: the attempt "a", headers "h", last
--                error "e", given back "g"
--   walked       how many entries of the index were read up to here, by which a consumer knows when a mark pays; a page,
--                whose entries may all be known to be dead and are not counted then, for three
--   cut          whether it ends here because the payloads are long, though there are more messages
--
-- The priorities that are there are looked up one by one (a loose index scan), so that the delayed messages of
-- one priority are never walked on the way to the next. Where p_priorities is given, only these are looked at,
-- each from its mark in p_marks on: a hint by which a consumer does not walk again, from the head, the dead rows
-- that somebody's old snapshot keeps, or the rows that others have leased. What others have leased since, behind the
-- mark, is passed over too (pgqrs_beyond_leased).
--
-- Many claims at once would try the same rows, and walk over each other's locks. With p_turn_ms they go one after the
-- other: each waits so long at most, below 0 not at all. One whose turn has not come by then claims nothing and says
-- so: a row without ids that is cut. 0: takes its turn where it is free, and goes without where it is not; null: goes
-- without. Only for claims that are a transaction of their own.
--
-- It takes fewer than p_count where their payloads are long: about 16 MB together, so that neither side runs out of
-- memory. A message whose attempts are used up and whose lease has run out goes to the dead letters instead.
create or replace function :"schema".pgqrs_claim_batch(
  p_queue text, p_count integer, p_lease_ms bigint, p_worker_id bigint,
  p_priorities integer[], p_marks timestamptz[], p_turn_ms integer
) returns table (
  queue_id bigint, priority integer, leased_until timestamptz, dequeued_at timestamptz, walked bigint,
  ids bigint[], max_attempts integer[], due timestamptz[], enqueued timestamptz[], payloads json, details json, cut boolean
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $pgqrs$
#variable_conflict use_column
declare
  v_index constant oid := (quote_ident(:'schema') || '.pgqrs_messages_order')::regclass;
  v_read bigint := pg_stat_get_xact_tuples_returned(v_index) + 3 * pg_stat_get_xact_blocks_fetched(v_index);
  -- What is stored in no more than this is no longer than some 200 kB, however well it was compressed.
  v_short constant integer := 4096;
  v_most_bytes constant bigint := 16777216;
  v_bytes bigint := 0;
  v_paused boolean;
  v_now timestamptz := clock_timestamp();
  v_left integer := p_count;
  v_priority bigint := -2147483649;
  v_mark timestamptz := '-infinity';
  v_step integer := 0;
  v_found integer;
  v_taken integer;
  v_updated integer;
  v_ctids tid[];
  v_any_rare boolean;
  v_spent bigint[];
  v_spent_attempts integer[];
begin
  select q.id, q.paused_at is not null into queue_id, v_paused
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
  if p_turn_ms is not null and not pg_try_advisory_xact_lock(v_index::integer, queue_id::integer) and p_turn_ms <> 0 then
    if p_turn_ms > 0 then
      perform :"schema".pgqrs_wait_for_turn(v_index::integer, queue_id::integer, p_turn_ms);
    end if;
    -- While it waits, its statement keeps a snapshot, under which no settled row's entry can be killed in the index: not
    -- for long, then, and the next try is a statement of its own.
    if not pg_try_advisory_xact_lock(v_index::integer, queue_id::integer) then
      priority := 0;
      walked := 0;
      ids := '{}';
      cut := true;
      return next;
      return;
    end if;
    v_now := clock_timestamp();
  end if;
  dequeued_at := v_now;

  while v_left > 0 loop
    if p_priorities is null then
      select m.priority into v_priority from :"schema".pgqrs_messages m
        where m.queue_id = pgqrs_claim_batch.queue_id and m.priority > v_priority
        order by m.priority limit 1;
      exit when not found;
      v_mark := '-infinity';
    else
      v_step := v_step + 1;
      exit when v_step > cardinality(p_priorities);
      v_priority := p_priorities[v_step];
      v_mark := :"schema".pgqrs_beyond_leased(queue_id, v_priority::integer, p_marks[v_step], v_now);
    end if;
    priority := v_priority;

    while v_left > 0 loop
      select
          array_agg(c.ctid), array_agg(c.id), array_agg(c.max_attempts), array_agg(c.due_at), array_agg(c.enqueued_at),
          json_agg(c.payload) filter (where c.size <= v_short),
          json_object_agg(c.id, json_build_object('a', c.attempt + 1, 'h', c.headers, 'e', c.last_error, 'g', c.given_back))
            filter (where c.attempt <> 0 or c.headers is not null or c.last_error is not null or c.given_back <> 0),
          bool_or(c.size > v_short or c.attempt - c.given_back >= c.max_attempts)
        into
          v_ctids, ids, max_attempts, due, enqueued, payloads, details, v_any_rare
        from (
          select m.ctid, m.id, m.due_at, m.enqueued_at, m.attempt, m.given_back, m.max_attempts, m.payload, m.headers,
            m.last_error, pg_column_size(m.payload) as size
          from :"schema".pgqrs_messages m
          where m.queue_id = pgqrs_claim_batch.queue_id and m.priority = v_priority::integer
            and m.due_at >= v_mark and m.due_at <= v_now
            and (m.leased_until is null or m.leased_until <= v_now)
          order by m.due_at, m.id
          limit least(v_left, 1000)
          for update skip locked
        ) c;
      exit when ids is null;
      v_found := cardinality(ids);
      v_taken := v_found;

      if v_any_rare then
        select array_agg(m.id), array_agg(m.attempt) into v_spent, v_spent_attempts
          from unnest(v_ctids) u(ctid) join :"schema".pgqrs_messages m on m.ctid = u.ctid
          where m.attempt - m.given_back >= m.max_attempts;
        -- With the locks on all of them, the next look finds the same messages without these.
        if v_spent is not null then
          perform :"schema".pgqrs_bury(v_spent, v_spent_attempts);
          continue;
        end if;
        select p.payload_count, p.payloads into v_taken, payloads
          from :"schema".pgqrs_payloads_within(v_ctids, v_most_bytes - v_bytes) p;
        v_ctids := v_ctids[:v_taken];
        ids := ids[:v_taken];
        max_attempts := max_attempts[:v_taken];
        due := due[:v_taken];
        enqueued := enqueued[:v_taken];
      end if;

      -- From now, not from the beginning of a long walk; and the same for all that is claimed together.
      leased_until := coalesce(leased_until, clock_timestamp() + p_lease_ms * interval '1 millisecond');
      update :"schema".pgqrs_messages m
        set leased_until = pgqrs_claim_batch.leased_until,
            leased_by = p_worker_id,
            dequeued_at = v_now,
            attempt = m.attempt + 1
        where m.ctid = any (v_ctids);
      get diagnostics v_updated = row_count;
      if v_updated <> v_taken then
        raise exception using
          errcode = 'serialization_failure',
          message = format('%s of %s messages changed while they were claimed', v_taken - v_updated, v_taken),
          hint = 'Nothing was claimed. Try again.';
      end if;

      walked := pg_stat_get_xact_tuples_returned(v_index) + 3 * pg_stat_get_xact_blocks_fetched(v_index) - v_read;
      v_left := v_left - v_found;
      v_bytes := v_bytes + pg_column_size(payloads);
      cut := v_taken < v_found or v_bytes >= v_most_bytes;
      return next;
      if cut then
        return;
      end if;
      exit when v_found < 1000;
      v_mark := due[v_taken];
    end loop;
  end loop;
end
$pgqrs$;
