-- works-with: 2

-- Settles that walk the index of the ids once for a batch instead of once for each message, and an archive that computes
-- nothing for each row but what is kept in it (docs/adr/0010).

-- The positions (from 1) in the arrays that a settle was given of the messages that it accepted, each at its first;
-- null when that is all of them. Of two attempts of a message the later was accepted.
create function :"schema".pgqrs_accepted(p_ids bigint[], p_attempts integer[], p_accepted bigint[]) returns integer[]
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $pgqrs$
begin
  if coalesce(cardinality(p_accepted), 0) = cardinality(p_ids) then
    return null;
  end if;
  return array(
    select distinct on (u.id) u.n::integer
    from unnest(p_ids, p_attempts) with ordinality u(id, attempt, n)
    where u.id = any (p_accepted)
    order by u.id, u.attempt desc, u.n
  );
end
$pgqrs$;

-- Takes messages that are held by the one attempt that is given, or by those that belong to the ids, away from those that
-- are live. Its planner settings are the caller's. (A function hands rows on with one copy of each, a CTE with two.)
create function :"schema".pgqrs_take(p_ids bigint[], p_attempt integer, p_attempts integer[])
returns table (
  id bigint, queue_id bigint, due_at timestamptz, enqueued_at timestamptz, dequeued_at timestamptz, leased_by bigint,
  priority integer, attempt integer, given_back integer, max_attempts integer, payload jsonb, headers jsonb,
  last_error text
)
language plpgsql set search_path = pg_catalog, pg_temp
as $pgqrs$
#variable_conflict use_column
begin
  return query
    delete from :"schema".pgqrs_messages m
    where m.id = any (p_ids) and m.leased_until is not null
      and m.attempt = coalesce(p_attempt, p_attempts[width_bucket(m.id, p_ids)])
    returning m.id, m.queue_id, m.due_at, m.enqueued_at, m.dequeued_at, m.leased_by, m.priority, m.attempt,
      m.given_back, m.max_attempts, m.payload, m.headers, m.last_error;
end
$pgqrs$;

-- Moves messages that the given attempts hold to the archive, and removes them, for the two settles that are made for
-- nearly every message. Each gives null when it has accepted all, else the positions (from 1) of what it accepted in
-- the arrays it was given. A message that is named twice is accepted once, at its first position.
--
-- The ids are one condition on the index, which gives the messages in their order, so that it is also the order in which
-- they are locked. A join would look for each by itself, for three times the cost. Where all attempts are the same, as
-- they nearly always are, one comparison is the whole proof; else what belongs to an id is found by bisection
-- (width_bucket), for which the arrays are sorted. Of two attempts of a message only the later can hold it.
create or replace function :"schema".pgqrs_archive_batch(
  p_ids bigint[], p_attempts integer[], p_archived_by text, p_results text[]
) returns integer[]
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_now constant timestamptz := clock_timestamp();
  v_attempt constant integer := case when p_attempts[1] = all (p_attempts) then p_attempts[1] end;
  v_ids bigint[] := p_ids;
  v_attempts integer[];
  v_results text[];
  v_count integer;
  v_accepted bigint[];
begin
  if v_attempt is null or p_results is not null then
    select array_agg(s.id), array_agg(s.attempt), array_agg(s.result) into v_ids, v_attempts, v_results
      from (
        select distinct on (u.id) u.id, u.attempt, u.result
        from unnest(p_ids, p_attempts, p_results) with ordinality u(id, attempt, result, n)
        order by u.id, u.attempt desc, u.n
      ) s;
  end if;
  perform set_config('pgqrs.checked', 'on', true);
  insert into :"schema".pgqrs_archive (
    id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, leased_by, processing_duration, priority, attempt,
    given_back, max_attempts, archived_by, payload, headers, result, last_error)
  select s.id, s.queue_id, s.due_at, s.enqueued_at, s.dequeued_at, v_now, s.leased_by,
    floor(date_part('epoch', v_now - s.dequeued_at) * 1000 + 0.5)::bigint, s.priority, s.attempt,
    s.given_back, s.max_attempts, p_archived_by, s.payload, s.headers,
    case when v_results is not null then v_results[width_bucket(s.id, v_ids)]::jsonb end, s.last_error
  from :"schema".pgqrs_take(v_ids, v_attempt, v_attempts) s;
  get diagnostics v_count = row_count;
  perform set_config('pgqrs.checked', '', true);
  if v_count = cardinality(p_ids) then
    return null;
  end if;
  if v_count > 0 then
    -- Seldom, so that it is looked up afterwards.
    select array_agg(a.id) into v_accepted from :"schema".pgqrs_archive a
      where a.id = any (v_ids) and a.archived_at = v_now
        and a.attempt = coalesce(v_attempt, v_attempts[width_bucket(a.id, v_ids)]);
    if coalesce(cardinality(v_accepted), 0) <> v_count then
      raise exception using
        errcode = 'serialization_failure',
        message = 'another settle of the same attempts took place in the same microsecond',
        hint = 'Nothing was settled. Try again.';
    end if;
  end if;
  return :"schema".pgqrs_accepted(p_ids, p_attempts, v_accepted);
end
$pgqrs$;

create or replace function :"schema".pgqrs_delete_batch(p_ids bigint[], p_attempts integer[]) returns integer[]
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_attempt constant integer := case when p_attempts[1] = all (p_attempts) then p_attempts[1] end;
  v_ids bigint[] := p_ids;
  v_attempts integer[];
  v_accepted bigint[];
begin
  if v_attempt is null then
    select array_agg(s.id), array_agg(s.attempt) into v_ids, v_attempts
      from (
        select distinct on (u.id) u.id, u.attempt from unnest(p_ids, p_attempts) u(id, attempt)
        order by u.id, u.attempt desc
      ) s;
  end if;
  with settled as (
    delete from :"schema".pgqrs_messages m
    where m.id = any (v_ids) and m.leased_until is not null
      and m.attempt = coalesce(v_attempt, v_attempts[width_bucket(m.id, v_ids)])
    returning m.id
  )
  select array_agg(s.id) into v_accepted from settled s;
  return :"schema".pgqrs_accepted(p_ids, p_attempts, v_accepted);
end
$pgqrs$;

-- As it was, with the duration.
create or replace function :"schema".pgqrs_archive_held(
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
      returning m.*, u.archived_by, u.error, u.result, u.n, clock_timestamp() as archived_at
    ), kept as (
      insert into :"schema".pgqrs_archive (
        id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, leased_by, processing_duration, priority, attempt,
        given_back, max_attempts, outcome, archived_by, payload, headers, result, last_error)
      select s.id, s.queue_id, s.due_at, s.enqueued_at, s.dequeued_at, s.archived_at, s.leased_by,
        floor(date_part('epoch', s.archived_at - s.dequeued_at) * 1000 + 0.5)::bigint, s.priority, s.attempt, s.given_back,
        s.max_attempts, p_outcome, s.archived_by, s.payload, s.headers, s.result::jsonb, coalesce(s.error, s.last_error)
      from settled s
    )
    select s.n::integer from settled s;
  perform set_config('pgqrs.checked', '', true);
end
$pgqrs$;

-- Says that attempts failed, as pgqrs_fail_held does: a message with an attempt left is ready again after its delay; one
-- without, or whose delay is null, becomes a dead letter. Gives the positions of both.
create function :"schema".pgqrs_fail_batch(
  p_ids bigint[], p_attempts integer[], p_errors text[], p_delays_ms bigint[], out retried integer[], out dead integer[]
)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_now timestamptz;
  v_ids bigint[];
  v_attempts integer[];
  v_errors text[];
  v_delays_ms bigint[];
  v_positions integer[];
begin
  select array_agg(s.id), array_agg(s.attempt), array_agg(s.error), array_agg(s.delay_ms), array_agg(s.n::integer)
    into v_ids, v_attempts, v_errors, v_delays_ms, v_positions
    from (
      select distinct on (u.id) u.id, u.attempt, u.error, u.delay_ms, u.n
      from unnest(p_ids, p_attempts, p_errors, p_delays_ms) with ordinality u(id, attempt, error, delay_ms, n)
      order by u.id, u.attempt desc, u.n
    ) s;
  -- Two statements follow: without this the first would lock some of the ids and the second those between them.
  perform 1 from :"schema".pgqrs_messages m where m.id = any (v_ids) order by m.id for update;
  v_now := clock_timestamp();
  with retried as (
    update :"schema".pgqrs_messages m
    set leased_until = null,
        leased_by = null,
        last_error = v_errors[width_bucket(m.id, v_ids)],
        due_at = v_now + v_delays_ms[width_bucket(m.id, v_ids)] * interval '1 millisecond'
    where m.id = any (v_ids) and m.leased_until is not null
      and m.attempt = v_attempts[width_bucket(m.id, v_ids)]
      and m.attempt - m.given_back < m.max_attempts
      and v_delays_ms[width_bucket(m.id, v_ids)] is not null
    returning m.id
  )
  select coalesce(array_agg(v_positions[width_bucket(r.id, v_ids)]), '{}') into retried from retried r;
  -- What is retried is held by nobody by now, so this takes exactly the others.
  dead := '{}';
  if cardinality(retried) < cardinality(v_ids) then
    dead := array(
      select v_positions[a.n]
      from :"schema".pgqrs_archive_held(v_ids, v_attempts, 'dead', null, v_errors, null) a(n));
  end if;
end
$pgqrs$;

-- Whoever writes a row without it: plain SQL, a program of an older release.
create function :"schema".pgqrs_time_processing() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $pgqrs$
begin
  new.processing_duration := floor(date_part('epoch', new.archived_at - new.dequeued_at) * 1000 + 0.5)::bigint;
  return new;
end
$pgqrs$;

-- What locks the archive comes last.
alter table :"schema".pgqrs_archive alter column processing_duration drop expression;
create trigger pgqrs_archive_duration_insert before insert on :"schema".pgqrs_archive
  for each row when (new.processing_duration is null and new.dequeued_at is not null)
  execute function :"schema".pgqrs_time_processing();
create trigger pgqrs_archive_duration_update before update of dequeued_at, archived_at on :"schema".pgqrs_archive
  for each row when (new.archived_at - new.dequeued_at is distinct from old.archived_at - old.dequeued_at)
  execute function :"schema".pgqrs_time_processing();
