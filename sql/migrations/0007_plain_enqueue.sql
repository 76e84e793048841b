-- works-with: 2

-- Adds messages that are nothing but their payloads: a JSON array of them, in the order given. For nearly every message;
-- pgqrs_enqueue_batch looks for five options in each. `ids` is in their order, null for no payload.
create function :"schema".pgqrs_enqueue_plain(
  p_queue text, p_payloads jsonb,
  out queue_id bigint, out enqueued_at timestamptz, out max_attempts integer, out ids bigint[]
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $pgqrs$
#variable_conflict use_column
begin
  select q.id, q.max_attempts into queue_id, max_attempts
    from :"schema".pgqrs_queues q where q.name = p_queue for key share;
  if not found then
    raise exception using
      errcode = 'PQ001',
      message = format('queue %L does not exist', p_queue),
      hint = 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).';
  end if;
  enqueued_at := clock_timestamp();
  perform set_config('pgqrs.checked', 'on', true);
  with added as (
    insert into :"schema".pgqrs_messages as m (queue_id, due_at, enqueued_at, max_attempts, payload)
    select pgqrs_enqueue_plain.queue_id, pgqrs_enqueue_plain.enqueued_at, pgqrs_enqueue_plain.enqueued_at,
      pgqrs_enqueue_plain.max_attempts, e.value
    from jsonb_array_elements(p_payloads) e
    returning m.id
  )
  select array_agg(a.id) into ids from added a;
  perform set_config('pgqrs.checked', '', true);
end
$pgqrs$;

-- For those who may enqueue.
revoke execute on function :"schema".pgqrs_enqueue_plain(text, jsonb) from public;
do $pgqrs$
declare
  v_role name;
begin
  for v_role in
    select distinct r.rolname
    from pg_catalog.pg_proc p
    cross join lateral pg_catalog.aclexplode(p.proacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where p.oid = format('%I.pgqrs_enqueue_batch(text, jsonb)', :'schema')::regprocedure and a.grantee <> p.proowner
  loop
    execute format('grant execute on function %I.pgqrs_enqueue_plain(text, jsonb) to %I', :'schema', v_role);
  end loop;
end
$pgqrs$;
