-- works-with: 2

-- As it was; but where all attempts of a batch are the same, as they nearly always are, it is first done without asking
-- which messages were found: that is known when all of them were. Otherwise it is undone, and done again with the
-- question (docs/adr/0010).
create or replace function :"schema".pgqrs_delete_batch(p_ids bigint[], p_attempts integer[]) returns integer[]
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan
as $pgqrs$
declare
  v_attempt constant integer := case when p_attempts[1] = all (p_attempts) then p_attempts[1] end;
  v_ids bigint[] := p_ids;
  v_attempts integer[];
  v_accepted bigint[];
  v_count integer;
begin
  if v_attempt is not null and cardinality(p_ids) > 1 then
    begin
      delete from :"schema".pgqrs_messages m
        where m.id = any (v_ids) and m.leased_until is not null
          and m.attempt = coalesce(v_attempt, v_attempts[width_bucket(m.id, v_ids)]);
      get diagnostics v_count = row_count;
      if v_count = cardinality(p_ids) then
        return null;
      end if;
      raise exception using errcode = 'no_data_found';
    exception when no_data_found then
    end;
  elsif v_attempt is null then
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
