-- name: owner
-- Who owns the tables, whether this connection is that role or one of its members, and whether $1 is a role.
select r.rolname as owner, pg_catalog.pg_has_role(c.relowner, 'usage') as may_grant,
  exists (select from pg_catalog.pg_roles g where g.rolname = $1::text) as found,
  r.rolname = $1::text as is_owner
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_roles r on r.oid = c.relowner
where n.nspname = :'schema' and c.relname = 'pgqrs_grants'

-- name: listGrants
-- Those of roles that exist, and that still have what every role of pgqrs begins with.
select g.role, g.grantee, g.granted_at from :"schema".pgqrs_grants g
join pg_catalog.pg_roles r on r.rolname = g.grantee
where exists (
  select from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral pg_catalog.aclexplode(c.relacl) a
  where n.nspname = :'schema' and c.relname = 'pgqrs_migrations' and a.grantee = r.oid and a.privilege_type = 'SELECT'
)
order by g.role, g.grantee

-- name: insertGrant
insert into :"schema".pgqrs_grants (role, grantee) values ($1::text, $2::text)
on conflict (grantee, role) do nothing
returning role

-- name: deleteGrant
delete from :"schema".pgqrs_grants where role = $1::text and grantee = $2::text
returning role

-- name: forGrant
-- What the next statement, which can have no parameters, is to do: 'grant' or 'revoke', which role, for whom.
select set_config('pgqrs.grant_or_revoke', $1::text, true), set_config('pgqrs.grant_role', $2::text, true),
  set_config('pgqrs.grantee', $3::text, true)

-- name: applyGrant
-- All that a role of pgqrs is. What is granted on pgqrs_archive holds for every partition that is reached through it.
-- Whoever adds a table, a column or a function says here who may use it; install grants it to those who have the role.
do $pgqrs$
declare
  v_grant constant boolean := current_setting('pgqrs.grant_or_revoke') = 'grant';
  v_role constant text := current_setting('pgqrs.grant_role');
  v_grantee constant text := current_setting('pgqrs.grantee');
  v_one record;
begin
  for v_one in
    select g.what, g.object from (values
      -- Whoever connects looks at the version; nearly every call looks for its queue.
      ('all', 'select', 'table pgqrs_migrations'),
      ('all', 'select', 'table pgqrs_queues'),

      -- Enqueue, postpone, and wait for what became of it: no payload of anybody's.
      ('producer', 'execute', 'function pgqrs_enqueue(text, jsonb, interval, integer, jsonb, integer, timestamptz)'),
      ('producer', 'execute', 'function pgqrs_enqueue_batch(text, jsonb)'),
      ('producer', 'execute', 'function pgqrs_enqueue_plain(text, jsonb)'),
      ('producer', 'execute', 'function pgqrs_postpone(text, bigint, bigint)'),
      ('producer', 'select (id)', 'table pgqrs_messages'),
      ('producer', 'select (id, archived_at, outcome, result, last_error)', 'table pgqrs_archive'),

      -- Claim, renew, settle, register: nothing of a queue's own.
      ('worker', 'select, delete', 'table pgqrs_messages'),
      ('worker', 'update (due_at, leased_until, leased_by, dequeued_at, attempt, given_back, last_error)', 'table pgqrs_messages'),
      ('worker', 'insert', 'table pgqrs_archive'),
      ('worker', 'select (id, queue_id, attempt, archived_at, outcome, result, last_error)', 'table pgqrs_archive'),
      ('worker', 'select', 'table pgqrs_upkeep'),
      ('worker', 'execute', 'function pgqrs_upkeep_step(text[])'),
      ('worker', 'select', 'table pgqrs_workers'),
      ('worker', 'insert (queue_id, name, hostname, pid)', 'table pgqrs_workers'),
      ('worker', 'update (state, heartbeat_at, stopped_at)', 'table pgqrs_workers'),

      -- All that there is but what is in the messages: payload, headers, result.
      ('observer', 'select (id, queue_id, due_at, enqueued_at, leased_until, dequeued_at, leased_by, priority, attempt, given_back, max_attempts, last_error)', 'table pgqrs_messages'),
      ('observer', 'select (id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, leased_by, processing_duration, priority, attempt, given_back, max_attempts, outcome, archived_by, last_error)', 'table pgqrs_archive'),
      ('observer', 'select', 'table pgqrs_workers'),
      ('observer', 'select', 'table pgqrs_upkeep'),

      -- All that can be granted. To change the tables, and to grant, is the right of whoever owns them.
      ('owner', 'select, insert, update, delete', 'table pgqrs_queues'),
      ('owner', 'select, insert, update, delete', 'table pgqrs_messages'),
      ('owner', 'select, insert, update, delete', 'table pgqrs_archive'),
      ('owner', 'select, insert, update, delete', 'table pgqrs_workers'),
      ('owner', 'select', 'table pgqrs_grants'),
      ('owner', 'select', 'table pgqrs_upkeep'),
      ('owner', 'execute', 'function pgqrs_upkeep_step(text[])'),
      ('owner', 'usage', 'sequence pgqrs_messages_id_seq'),
      ('owner', 'execute', 'function pgqrs_enqueue(text, jsonb, interval, integer, jsonb, integer, timestamptz)'),
      ('owner', 'execute', 'function pgqrs_enqueue_batch(text, jsonb)'),
      ('owner', 'execute', 'function pgqrs_enqueue_plain(text, jsonb)'),
      ('owner', 'execute', 'function pgqrs_postpone(text, bigint, bigint)')
    ) g(role, what, object)
    where g.role in ('all', v_role)
  loop
    execute format(
      case when v_grant then 'grant %s on %s %I.%s to %I' else 'revoke %s on %s %I.%s from %I' end,
      v_one.what, split_part(v_one.object, ' ', 1), :'schema', substr(v_one.object, strpos(v_one.object, ' ') + 1), v_grantee);
  end loop;
  if not v_grant then
    return;
  end if;
  execute format('grant usage on schema %I to %I', :'schema', v_grantee);
  -- Whoever does not own the schema has been warned, and nothing more.
  if not has_schema_privilege(v_grantee, :'schema', 'usage') then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format('%I may not use the schema %I, and you may not grant it', v_grantee, :'schema'),
      hint = format('Whoever owns the schema says: grant usage on schema %I to %I;', :'schema', v_grantee);
  end if;
end
$pgqrs$
