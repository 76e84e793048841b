-- works-with: 2

-- Who may do what: docs/roles.md.
--
-- A producer has no right on pgqrs_messages at all: it enqueues and postpones by functions that run with the rights
-- of the owner. With rights of its own it could change pgqrs_queues (locking a row takes the right to update one of
-- its columns), and could say that it has checked for the queue when it has not (pgqrs.checked). All other functions
-- run with the rights of whoever calls them, so that everybody may call them: docs/adr/0009.

-- Makes a message wait longer: lengthens the lease of whoever holds it, or puts off the time at which it is due.
create function :"schema".pgqrs_postpone(p_queue text, p_id bigint, p_by_ms bigint) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $pgqrs$
begin
  if p_by_ms < 0 then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = 'pgqrs_postpone: the time is negative',
      hint = 'A message can be made to wait longer, not shorter.';
  end if;
  return query
    update :"schema".pgqrs_messages m
    set leased_until = case when m.leased_until > clock_timestamp()
          then m.leased_until + p_by_ms * interval '1 millisecond' else m.leased_until end,
        due_at = case when m.leased_until > clock_timestamp()
          then m.due_at else greatest(m.due_at, clock_timestamp()) + p_by_ms * interval '1 millisecond' end
    from :"schema".pgqrs_queues q
    where m.id = p_id and q.id = m.queue_id and q.name = p_queue
    returning m.id;
end
$pgqrs$;

alter function :"schema".pgqrs_enqueue_batch(text, jsonb) security definer;

-- What runs with the owner's rights is for those who were granted it.
revoke execute on function
  :"schema".pgqrs_enqueue(text, jsonb, interval, integer, jsonb, integer, timestamptz),
  :"schema".pgqrs_enqueue_batch(text, jsonb),
  :"schema".pgqrs_postpone(text, bigint, bigint),
  :"schema".pgqrs_require_queue(),
  :"schema".pgqrs_keep_queue(),
  :"schema".pgqrs_keep_all_queues()
from public;

-- Roles that could enqueue until now, by rights on the table, still can.
do $pgqrs$
declare
  v_role name;
begin
  for v_role in
    select distinct r.rolname
    from pg_catalog.pg_class c
    cross join lateral pg_catalog.aclexplode(c.relacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where c.oid = format('%I.pgqrs_messages', :'schema')::regclass
      and a.privilege_type = 'INSERT' and a.grantee <> c.relowner
  loop
    execute format('grant execute on function %1$I.pgqrs_enqueue(text, jsonb, interval, integer, jsonb, integer, timestamptz), %1$I.pgqrs_enqueue_batch(text, jsonb), %1$I.pgqrs_postpone(text, bigint, bigint) to %2$I', :'schema', v_role);
  end loop;
end
$pgqrs$;

-- Which role of pgqrs each role of the database was granted, so that install grants again what a new version needs.
create table :"schema".pgqrs_grants (
  grantee text not null,
  role text not null,
  granted_at timestamptz not null default clock_timestamp(),
  constraint pgqrs_grants_pkey primary key (grantee, role),
  constraint pgqrs_grants_role_check check (role in ('owner', 'producer', 'worker', 'observer'))
);
