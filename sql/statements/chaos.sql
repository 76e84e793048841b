-- name: chaosCreateAudit
-- For pgqrs chaos, in a schema of its own: what happened to each message, written in the transaction in which it
-- happened, by the database's clock. `began_at` is when the statement began; `held_until` is the lease that was in
-- the row before.
create table :"schema".chaos_audit (
  seq bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  began_at timestamptz not null default statement_timestamp(),
  what text not null,
  queue text,
  id text not null,
  key text,
  attempt integer not null,
  held_until timestamptz,
  until timestamptz,
  holder text,
  session integer not null default pg_backend_pid(),
  priority integer,
  due_at timestamptz,
  xact text,
  seen text
)

-- name: chaosCreateOrders
-- The business table: a row for each order, beside its message in one transaction.
create table :"schema".chaos_orders (key text not null)

-- name: chaosCreateEffects
-- What handlers write in the transaction that settles their message.
create table :"schema".chaos_effects (id text not null, attempt integer not null, key text not null)

-- name: chaosCreateAuditFunction
create function :"schema".chaos_audit_message() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $chaos$
declare
  v_row record := case when tg_op = 'DELETE' then old else new end;
  v_what text := case
    when tg_op = 'INSERT' then 'enqueued'
    when tg_op = 'DELETE' then 'left'
    when new.attempt > old.attempt then 'claimed'
    when old.leased_until is not null and new.leased_until is null then
      case when new.given_back > old.given_back then 'released' else 'failed' end
    when old.leased_until is not null and new.leased_until is distinct from old.leased_until then 'renewed'
    else 'touched' end;
  v_ordered boolean := v_row.payload->>'in' = 'ordered';
begin
  insert into :"schema".chaos_audit
    (what, queue, id, key, attempt, held_until, until, holder, priority, due_at, xact, seen)
  values (
    v_what, v_row.payload->>'in', v_row.id::text, v_row.payload->>'key', v_row.attempt,
    case when tg_op <> 'INSERT' then old.leased_until end,
    case when tg_op <> 'DELETE' then new.leased_until end,
    v_row.leased_by::text, v_row.priority, v_row.due_at,
    case when v_ordered then pg_current_xact_id()::text end,
    case when v_ordered then pg_current_snapshot()::text end);
  return null;
end
$chaos$

-- name: chaosCreateAuditTrigger
create trigger chaos_audit after insert or update or delete on :"schema".pgqrs_messages
  for each row execute function :"schema".chaos_audit_message()

-- name: chaosInsertOrders
insert into :"schema".chaos_orders (key) select unnest($1::text[])

-- name: chaosInsertEffect
insert into :"schema".chaos_effects (id, attempt, key) values ($1, $2, $3)

-- name: chaosAudit
-- The next page after $1; times in milliseconds since 1970.
select a.seq, extract(epoch from a.at)::float8 * 1000 as at, extract(epoch from a.began_at)::float8 * 1000 as began_at,
  a.what, a.queue, a.id, a.key, a.attempt, extract(epoch from a.held_until)::float8 * 1000 as held_until,
  extract(epoch from a.until)::float8 * 1000 as until, a.holder, a.session, a.priority,
  extract(epoch from a.due_at)::float8 * 1000 as due_at, a.xact, a.seen
from :"schema".chaos_audit a where a.seq > $1::bigint order by a.seq limit $2::integer

-- name: chaosOrders
select o.key from :"schema".chaos_orders o

-- name: chaosEffects
select e.id, e.attempt, e.key from :"schema".chaos_effects e

-- name: chaosLive
select m.id::text as id, m.payload->>'key' as key, m.attempt, m.attempt - m.given_back as counted, m.max_attempts,
  'live' as state, m.last_error
from :"schema".pgqrs_messages m where m.id > $1::bigint order by m.id limit $2::integer

-- name: chaosArchived
select a.id::text as id, a.payload->>'key' as key, a.attempt, a.attempt - a.given_back as counted, a.max_attempts,
  a.outcome as state, a.last_error
from :"schema".pgqrs_archive a where a.id > $1::bigint order by a.id limit $2::integer

-- name: chaosLeft
select count(*)::integer as messages from :"schema".pgqrs_messages m

-- name: chaosClock
select extract(epoch from clock_timestamp())::float8 * 1000 as now

-- name: chaosTerminate
-- Ends $2 of the connections whose programs call themselves by the prefix $1.
select count(pg_terminate_backend(chosen.pid))::integer as terminated from (
  select s.pid from pg_stat_activity s
  where starts_with(s.application_name, $1::text) and s.pid <> pg_backend_pid() and s.datname = current_database()
  order by s.query_start desc nulls last limit $2::integer
) chosen

-- name: chaosHold
-- Takes a snapshot; the transaction around it keeps it.
select count(*) from :"schema".chaos_orders o where o.key = ''

-- name: chaosDropSchema
drop schema :"schema" cascade

-- name: chaosAbandoned
-- Schemas of earlier runs whose owner is gone: each run holds an advisory lock for its time.
select n.nspname as schema from pg_namespace n
where starts_with(n.nspname, 'pgqrs_chaos_') and pg_has_role(n.nspowner, 'usage') and not exists (
  select from pg_locks l where l.locktype = 'advisory' and l.classid::bigint = 1885827701
    and l.objid::bigint = hashtext(n.nspname::text)::bigint & 4294967295)

-- name: chaosOwn
select pg_advisory_lock(1885827701, hashtext(:'schema'))
