-- works-with: 2

-- Retention, and the upkeep: partitions of the archive are made ahead of time, and what is older than its queue's
-- retention leaves by emptying a partition as a whole (docs/adr/0011).
--
-- The partitions cover all times up to the last of them without a gap, so that pgqrs_archive_default is empty unless
-- nobody did the upkeep for long, or an older release made it: then it is closed, which makes a partition of it.
--
-- No step waits longer than lock_timeout for a lock, for that is how long others wait behind it. Making a partition
-- takes no lock that a settle wants; emptying one locks that one alone, where no settle goes; closing the default
-- partition, joining two partitions and dropping one lock the archive for some milliseconds.

-- One row: how the upkeep stands.
create table :"schema".pgqrs_upkeep (
  id integer primary key default 1,
  done_at timestamptz,
  default_until timestamptz,
  constraint pgqrs_upkeep_id_check check (id = 1)
);
comment on column :"schema".pgqrs_upkeep.done_at is 'When there was last nothing left to do.';
comment on column :"schema".pgqrs_upkeep.default_until is
  'While a large default partition is being closed: from when on its rows will go elsewhere.';
insert into :"schema".pgqrs_upkeep default values;

-- The partitions of the archive but the default one, the oldest first. Without a bound: -infinity, infinity.
create function :"schema".pgqrs_archive_partitions()
returns table (name text, oid oid, lower_bound timestamptz, upper_bound timestamptz)
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $pgqrs$
  select c.relname::text, c.oid,
    case b.words[1] when 'MINVALUE' then '-infinity' else trim(b.words[1], '''')::timestamptz end,
    case b.words[2] when 'MAXVALUE' then 'infinity' else trim(b.words[2], '''')::timestamptz end
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  cross join lateral (
    select regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \((.*)\) TO \((.*)\)$') as words
  ) b
  where i.inhparent = (quote_ident(:'schema') || '.pgqrs_archive')::regclass and b.words is not null
  order by 3
$pgqrs$;

-- Of which width the next partition should be: about an eighth of the shortest retention, and wider where there are
-- many already.
create function :"schema".pgqrs_archive_width() returns interval
language plpgsql stable set search_path = pg_catalog, pg_temp
as $pgqrs$
declare
  v_widths constant interval[] := array['1 hour', '6 hours', '1 day', '7 days', '28 days'];
  v_wanted interval := (select min(q.retention) / 8 from :"schema".pgqrs_queues q);
  v_step integer := 4;
begin
  if v_wanted is not null then
    v_step := greatest(1, (select count(*) from unnest(v_widths[1:4]) w where w <= v_wanted));
  end if;
  return v_widths[least(5, v_step + (select count(*) from :"schema".pgqrs_archive_partitions()) / 60)];
end
$pgqrs$;

-- Makes a partition and attaches it. Takes no lock on the archive that a settle waits for, but one on the default
-- partition, which is looked through for rows that belong here: it should be empty.
create function :"schema".pgqrs_archive_attach(p_lower timestamptz, p_upper timestamptz) returns text
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $pgqrs$
declare
  v_name text := :"schema".pgqrs_archive_name(p_lower);
begin
  execute format('create table %I.%I (like %1$I.pgqrs_archive including defaults including constraints '
    'including generated including storage)', :'schema', v_name);
  execute format('alter table %I.pgqrs_archive attach partition %1$I.%I for values from (%s) to (%L)',
    :'schema', v_name, case when p_lower = '-infinity' then 'minvalue' else quote_literal(p_lower) end, p_upper);
  return v_name;
end
$pgqrs$;

-- A name for the partition that begins there, which nothing else has.
create function :"schema".pgqrs_archive_name(p_lower timestamptz) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $pgqrs$
declare
  v_name constant text := case when p_lower = '-infinity' then 'pgqrs_archive_oldest'
    else 'pgqrs_archive_' || to_char(p_lower, 'YYYYMMDD_HH24MI') end;
  v_free text := v_name;
  v_other integer := 1;
begin
  while exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = :'schema' and c.relname = v_free) loop
    v_other := v_other + 1;
    v_free := v_name || '_' || v_other;
  end loop;
  return v_free;
end
$pgqrs$;

-- The queues that have rows in one partition, with the times since when these are kept (keep_from, keep_dead_from),
-- and before which they are overdue: a quarter of the retention later, and an hour. One probe of its index for each.
create function :"schema".pgqrs_archive_kept(p_partition oid, p_now timestamptz)
returns table (
  queue_id bigint, keep_from timestamptz, keep_dead_from timestamptz, overdue timestamptz, overdue_dead timestamptz
)
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $pgqrs$
begin
  return query execute format($$
    with recursive there(id) as (
      (select a.queue_id from %1$s a order by a.queue_id limit 1)
      union all
      select (select a.queue_id from %1$s a where a.queue_id > t.id order by a.queue_id limit 1)
      from there t where t.id is not null
    )
    select t.id,
      coalesce($1 - q.retention, '-infinity'), coalesce($1 - q.dead_retention, '-infinity'),
      coalesce($1 - q.retention * 1.25 - interval '1 hour', '-infinity'),
      coalesce($1 - q.dead_retention * 1.25 - interval '1 hour', '-infinity')
    from there t left join %2$I.pgqrs_queues q on q.id = t.id
    where t.id is not null
    $$, p_partition::regclass, :'schema') using p_now;
end
$pgqrs$;

-- What there is to do next, of what is not in p_skip ('what partition'): one thing, or null. Changes nothing.
--   workers   registrations of workers that are gone for long
--   create    a partition ahead of time, from `lower_bound` to `upper_bound`
--   mark, validate, unmark, close
--             the default partition has rows: it becomes a partition of its own, up to `upper_bound`. Where it is
--             large, a constraint that is checked without a lock proves it first
--   drop      a partition of the future that is wider than they should be now
--   empty     nearly all rows of a partition are beyond their retention: the others are written anew
--   delete    rows that are overdue in a partition where many others are kept
--   join      a partition with few rows, and those after it, up to `upper_bound`
create function :"schema".pgqrs_upkeep_due(
  p_skip text[], out what text, out partition text, out lower_bound timestamptz, out upper_bound timestamptz
)
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $pgqrs$
declare
  c_few constant integer := 2000;
  c_few_bytes constant bigint := 8000000;
  c_together constant integer := 3;
  c_default constant oid := (quote_ident(:'schema') || '.pgqrs_archive_default')::regclass;
  v_now constant timestamptz := clock_timestamp();
  v_width constant interval := :"schema".pgqrs_archive_width();
  v_seconds constant double precision := extract(epoch from v_width);
  -- The end of the period that we are in.
  v_next constant timestamptz := to_timestamp((floor(extract(epoch from v_now) / v_seconds) + 1) * v_seconds);
  v_least constant interval := (
    select min(least(q.retention, q.dead_retention)) from :"schema".pgqrs_queues q);
  v_in_default constant boolean := exists (select from :"schema".pgqrs_archive_default);
  v_covered timestamptz := (select max(p.upper_bound) from :"schema".pgqrs_archive_partitions() p);
  v_one record;
  v_rows bigint;
  v_few bigint;
  v_together integer;
  v_bytes bigint;
  v_found boolean;
  v_overdue boolean;
begin
  what := 'workers';
  if 'workers' <> all (p_skip) and exists (select from :"schema".pgqrs_workers_gone(1)) then
    return;
  end if;

  partition := 'pgqrs_archive_default';
  if v_in_default then
    -- Not at a time that one of its rows has reached.
    lower_bound := coalesce(v_covered, '-infinity');
    upper_bound := (
      with recursive there(id) as (
        (select a.queue_id from :"schema".pgqrs_archive_default a order by a.queue_id limit 1)
        union all
        select (select a.queue_id from :"schema".pgqrs_archive_default a where a.queue_id > t.id
          order by a.queue_id limit 1)
        from there t where t.id is not null
      )
      select max(l.archived_at) from there t cross join lateral (
        select a.archived_at from :"schema".pgqrs_archive_default a where a.queue_id = t.id
        order by a.archived_at desc limit 1) l);
    if pg_relation_size(c_default) <= 4 * c_few_bytes then
      what := 'close';
      upper_bound := greatest(v_next,
        to_timestamp((floor(extract(epoch from upper_bound) / v_seconds) + 1) * v_seconds));
    else
      select u.default_until into v_one from :"schema".pgqrs_upkeep u;
      what := case
        when v_one.default_until is null then 'mark'
        when exists (select from pg_constraint k
          where k.conrelid = c_default and k.conname = 'pgqrs_archive_default_until' and k.convalidated) then 'close'
        when v_one.default_until < v_now + interval '12 hours' then 'unmark'
        else 'validate' end;
      upper_bound := coalesce(v_one.default_until,
        to_timestamp((floor(extract(epoch from greatest(v_now, upper_bound)) / 86400) + 3) * 86400));
    end if;
    if what || ' ' || partition <> all (p_skip) then
      return;
    end if;
  else
    what := 'create';
    partition := null;
    lower_bound := coalesce(v_covered, '-infinity');
    upper_bound := case
      when v_covered is null then v_next - v_width
      when v_covered < v_now then v_next
      else to_timestamp((floor(extract(epoch from v_covered) / v_seconds) + 1) * v_seconds) end;
    if lower_bound < v_now + greatest(2 * v_width, interval '1 day') and 'create' <> all (p_skip) then
      return;
    end if;
  end if;

  for v_one in
    select p.* from :"schema".pgqrs_archive_partitions() p where p.lower_bound < v_now - v_least
    union all
    select 'pgqrs_archive_default', c_default, '-infinity', 'infinity' where v_in_default and v_least is not null
  loop
    partition := v_one.name;
    lower_bound := v_one.lower_bound;
    upper_bound := v_one.upper_bound;
    continue when pg_relation_size(v_one.oid) = 0;
    -- Rows that are overdue, or of a queue whose rows in here are all expired.
    execute format($$
      select coalesce(bool_or(true), false), coalesce(bool_or(f.overdue), false)
      from %2$I.pgqrs_archive_kept($1, $2) q cross join lateral (
        (select a.archived_at < q.overdue as overdue from %1$s a
        where a.queue_id = q.queue_id and a.outcome = 'archived'
          and a.archived_at < case when $3 <= q.keep_from then q.keep_from else q.overdue end
        order by a.archived_at limit 1)
        union all
        (select a.archived_at < q.overdue_dead from %1$s a
        where a.queue_id = q.queue_id and a.outcome = 'dead'
          and a.archived_at < case when $3 <= q.keep_dead_from then q.keep_dead_from else q.overdue_dead end
        order by a.archived_at limit 1)
      ) f
      $$, v_one.oid::regclass, :'schema') into v_found, v_overdue using v_one.oid, v_now, v_one.upper_bound;
    continue when not v_found;
    what := 'empty';
    -- Where no settle goes any more.
    if v_one.upper_bound <= v_now - interval '5 minutes' then
      execute format($$
        select count(*), coalesce(sum(k.bytes), 0) from (
          select pg_column_size(a.payload) + coalesce(pg_column_size(a.result), 0) as bytes
          from %2$I.pgqrs_archive_kept($1, $2) q cross join lateral (
            select a.payload, a.result from %1$s a
            where a.queue_id = q.queue_id and a.outcome = 'archived' and a.archived_at >= q.keep_from
            union all
            select a.payload, a.result from %1$s a
            where a.queue_id = q.queue_id and a.outcome = 'dead' and a.archived_at >= q.keep_dead_from
          ) a
          limit $3
        ) k
        $$, v_one.oid::regclass, :'schema') into v_rows, v_bytes using v_one.oid, v_now, c_few + 1;
      if v_rows <= c_few and v_bytes <= c_few_bytes then
        if what || ' ' || partition <> all (p_skip) then
          return;
        end if;
        continue;
      end if;
    end if;
    what := 'delete';
    if v_overdue and what || ' ' || partition <> all (p_skip) then
      return;
    end if;
  end loop;

  what := 'join';
  partition := null;
  if not v_in_default then
    v_together := 0;
    for v_one in
      select p.* from :"schema".pgqrs_archive_partitions() p where p.upper_bound <= v_now - v_least
    loop
      v_rows := c_few + 1;
      if pg_relation_size(v_one.oid) = 0 then
        v_rows := 0;
      elsif pg_table_size(v_one.oid) <= 2 * c_few_bytes then
        execute format('select count(*) from (select from %s limit %s) few', v_one.oid::regclass, c_few + 1)
          into v_rows;
      end if;
      if v_together > 0 and upper_bound = v_one.lower_bound and v_few + v_rows <= c_few
        and 'join ' || partition <> all (p_skip)
      then
        upper_bound := v_one.upper_bound;
        v_few := v_few + v_rows;
        v_together := v_together + 1;
        exit when v_together = c_together;
      else
        exit when v_together > 1;
        partition := v_one.name;
        lower_bound := v_one.lower_bound;
        upper_bound := v_one.upper_bound;
        v_few := v_rows;
        v_together := 1;
      end if;
    end loop;
    if v_together > 1 then
      return;
    end if;
  end if;

  what := 'drop';
  for v_one in
    select p.* from :"schema".pgqrs_archive_partitions() p order by p.lower_bound desc limit 1
  loop
    partition := v_one.name;
    lower_bound := v_one.lower_bound;
    upper_bound := v_one.upper_bound;
    if v_one.lower_bound > v_now + interval '1 hour' and v_one.upper_bound - v_one.lower_bound > v_width
      and what || ' ' || partition <> all (p_skip)
    then
      execute format('select not exists (select from %s)', v_one.oid::regclass) into v_found;
      if v_found then
        return;
      end if;
    end if;
  end loop;
  what := null;
  partition := null;
end
$pgqrs$;

-- Registrations of workers that stopped a day ago, or are dead for a week.
create function :"schema".pgqrs_workers_gone(p_limit integer) returns setof bigint
language sql stable set search_path = pg_catalog, pg_temp
as $pgqrs$
  select w.id from :"schema".pgqrs_workers w
  where w.state = 'stopped' and w.stopped_at < clock_timestamp() - interval '1 day'
    or w.state = 'dead' and w.heartbeat_at < clock_timestamp() - interval '7 days'
  limit p_limit
$pgqrs$;

-- Does what is due next, of what is not in p_skip, and says what it was, and how many rows went. `what` is null
-- when there is nothing left, and 'busy' when somebody else is at it. `trouble`: it was given up, because of a lock
-- that somebody holds ('locked'), or for what the server says; nothing was changed then.
create function :"schema".pgqrs_upkeep_step(
  p_skip text[], out what text, out partition text, out affected bigint, out trouble text
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' set lock_timeout = '50ms'
as $pgqrs$
declare
  v_due record;
begin
  affected := 0;
  if not pg_try_advisory_xact_lock(hashtextextended('pgqrs upkeep ' || :'schema', 0)) then
    what := 'busy';
    return;
  end if;
  select * into v_due from :"schema".pgqrs_upkeep_due(p_skip);
  what := v_due.what;
  partition := v_due.partition;
  if what is null then
    if p_skip = '{}' then
      update :"schema".pgqrs_upkeep u set done_at = clock_timestamp();
    end if;
    return;
  end if;
  begin
    case what
      when 'workers' then
        delete from :"schema".pgqrs_workers w where w.id = any (array(select * from :"schema".pgqrs_workers_gone(1000)));
        get diagnostics affected = row_count;
      when 'create' then
        partition := :"schema".pgqrs_archive_attach(v_due.lower_bound, v_due.upper_bound);
      when 'drop' then
        execute format('drop table %I.%I', :'schema', partition);
      when 'mark' then
        execute format('alter table %I.pgqrs_archive_default add constraint pgqrs_archive_default_until '
          'check (archived_at < %L) not valid', :'schema', v_due.upper_bound);
        update :"schema".pgqrs_upkeep u set default_until = v_due.upper_bound;
      when 'unmark' then
        alter table :"schema".pgqrs_archive_default drop constraint if exists pgqrs_archive_default_until;
        update :"schema".pgqrs_upkeep u set default_until = null;
      when 'validate' then
        alter table :"schema".pgqrs_archive_default validate constraint pgqrs_archive_default_until;
      when 'close' then
        partition := :"schema".pgqrs_archive_close(v_due.lower_bound, v_due.upper_bound);
      when 'empty' then
        affected := :"schema".pgqrs_archive_empty(format('%I.%I', :'schema', partition)::regclass);
      when 'delete' then
        affected := :"schema".pgqrs_archive_expire(format('%I.%I', :'schema', partition)::regclass, 10000);
      when 'join' then
        affected := :"schema".pgqrs_archive_join(partition, v_due.lower_bound, v_due.upper_bound);
    end case;
  exception
    when lock_not_available or deadlock_detected then
      trouble := 'locked';
    when others then
      trouble := sqlerrm;
  end;
end
$pgqrs$;

-- Makes a partition of the default partition, and a new default one. It is short: the rows are few, or a constraint
-- proves where they belong.
create function :"schema".pgqrs_archive_close(p_lower timestamptz, p_upper timestamptz) returns text
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $pgqrs$
declare
  v_name text;
begin
  lock table only :"schema".pgqrs_archive in access exclusive mode;
  alter table :"schema".pgqrs_archive detach partition :"schema".pgqrs_archive_default;
  v_name := :"schema".pgqrs_archive_name(p_lower);
  execute format('alter table %I.pgqrs_archive_default rename to %I', :'schema', v_name);
  execute format('alter table %I.pgqrs_archive attach partition %1$I.%I for values from (%s) to (%L)',
    :'schema', v_name, case when p_lower = '-infinity' then 'minvalue' else quote_literal(p_lower) end, p_upper);
  execute format('alter table %I.%I drop constraint if exists pgqrs_archive_default_until', :'schema', v_name);
  create table :"schema".pgqrs_archive_default
    (like :"schema".pgqrs_archive including defaults including constraints including generated including storage);
  alter table :"schema".pgqrs_archive attach partition :"schema".pgqrs_archive_default default;
  update :"schema".pgqrs_upkeep u set default_until = null;
  return v_name;
end
$pgqrs$;

-- The columns of the archive that are written, in their order.
create function :"schema".pgqrs_archive_columns() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $pgqrs$
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from pg_attribute a
  where a.attrelid = (quote_ident(:'schema') || '.pgqrs_archive')::regclass
    and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
$pgqrs$;

-- Empties a partition but for the rows that are kept, which are few. Returns about how many rows went. Locks this
-- partition alone.
create function :"schema".pgqrs_archive_empty(p_partition regclass) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $pgqrs$
declare
  v_kept :"schema".pgqrs_archive[];
  v_before bigint := (select greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = p_partition);
begin
  execute format('lock table only %s in access exclusive mode', p_partition);
  execute format($$
    select coalesce(array_agg(a.kept), '{}')
    from %2$I.pgqrs_archive_kept($1, clock_timestamp()) q cross join lateral (
      select a::%2$I.pgqrs_archive as kept from %1$s a
      where a.queue_id = q.queue_id and a.outcome = 'archived' and a.archived_at >= q.keep_from
      union all
      select a::%2$I.pgqrs_archive from %1$s a
      where a.queue_id = q.queue_id and a.outcome = 'dead' and a.archived_at >= q.keep_dead_from
    ) a
    $$, p_partition, :'schema') into v_kept using p_partition::oid;
  v_before := greatest(v_before, (select s.n_live_tup from pg_stat_all_tables s where s.relid = p_partition));
  execute format('truncate table only %s', p_partition);
  perform set_config('pgqrs.checked', 'on', true);
  execute format('insert into %s (%2$s) select %2$s from unnest($1)', p_partition, :"schema".pgqrs_archive_columns())
    using v_kept;
  perform set_config('pgqrs.checked', '', true);
  return greatest(0, v_before - cardinality(v_kept));
end
$pgqrs$;

-- Deletes rows of a partition that are overdue, p_limit at most. Returns how many.
create function :"schema".pgqrs_archive_expire(p_partition regclass, p_limit integer) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $pgqrs$
declare
  v_queue record;
  v_deleted bigint := 0;
  v_count bigint;
begin
  for v_queue in select * from :"schema".pgqrs_archive_kept(p_partition, clock_timestamp()) loop
    execute format($$
      delete from only %1$s where ctid = any (array(
        select a.ctid from %1$s a where a.queue_id = $1 and a.archived_at < greatest($2, $3)
          and a.archived_at < case a.outcome when 'dead' then $3 else $2 end
        order by a.archived_at limit $4 for update skip locked))
      $$, p_partition) using v_queue.queue_id, v_queue.overdue, v_queue.overdue_dead, p_limit - v_deleted;
    get diagnostics v_count = row_count;
    v_deleted := v_deleted + v_count;
    exit when v_deleted >= p_limit;
  end loop;
  return v_deleted;
end
$pgqrs$;

-- Joins a partition and those after it up to p_upper, all with few rows, into one. Returns how many rows moved.
create function :"schema".pgqrs_archive_join(p_name text, p_lower timestamptz, p_upper timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $pgqrs$
declare
  v_others text[] := array(
    select format('%I.%I', :'schema', p.name) from :"schema".pgqrs_archive_partitions() p
    where p.lower_bound > p_lower and p.upper_bound <= p_upper);
  v_other text;
  v_count bigint;
  v_moved bigint := 0;
begin
  -- First where no settle goes, so that the archive itself is locked for no longer than it takes.
  execute format('lock table only %I.%I, only %s in access exclusive mode',
    :'schema', p_name, array_to_string(v_others, ', only '));
  lock table only :"schema".pgqrs_archive in access exclusive mode;
  foreach v_other in array v_others loop
    execute format('alter table %I.pgqrs_archive detach partition %s', :'schema', v_other);
  end loop;
  execute format('alter table %I.pgqrs_archive detach partition %1$I.%I', :'schema', p_name);
  execute format('alter table %I.pgqrs_archive attach partition %1$I.%I for values from (%s) to (%L)',
    :'schema', p_name, case when p_lower = '-infinity' then 'minvalue' else quote_literal(p_lower) end, p_upper);
  perform set_config('pgqrs.checked', 'on', true);
  foreach v_other in array v_others loop
    execute format('insert into %I.%I (%3$s) select %3$s from %4$s',
      :'schema', p_name, :"schema".pgqrs_archive_columns(), v_other);
    get diagnostics v_count = row_count;
    v_moved := v_moved + v_count;
    execute format('drop table %s', v_other);
  end loop;
  perform set_config('pgqrs.checked', '', true);
  return v_moved;
end
$pgqrs$;

-- It runs with the owner's rights, as making and emptying partitions needs them, and does what is due and nothing
-- that whoever calls it could choose. Roles that could settle until now may call it.
revoke execute on function :"schema".pgqrs_upkeep_step(text[]) from public;
do $pgqrs$
declare
  v_role name;
begin
  for v_role in
    select distinct r.rolname
    from pg_class c
    cross join lateral aclexplode(c.relacl) a
    join pg_roles r on r.oid = a.grantee
    where c.oid = (quote_ident(:'schema') || '.pgqrs_messages')::regclass
      and a.privilege_type = 'DELETE' and a.grantee <> c.relowner
  loop
    execute format('grant execute on function %I.pgqrs_upkeep_step(text[]) to %I', :'schema', v_role);
    execute format('grant select on %I.pgqrs_upkeep to %I', :'schema', v_role);
  end loop;
end
$pgqrs$;

-- What waits for locks comes last, so that others wait behind it for no longer than that.
alter table :"schema".pgqrs_queues
  add column retention interval,
  add column dead_retention interval,
  add constraint pgqrs_queues_retention_check check (retention >= interval '1 minute'),
  add constraint pgqrs_queues_dead_retention_check check (dead_retention >= interval '1 minute');
comment on column :"schema".pgqrs_queues.retention is
  'For how long at least its archived messages are kept; null: until they are purged.';
comment on column :"schema".pgqrs_queues.dead_retention is
  'For how long at least its dead letters are kept; null: until they are redriven or purged.';

-- A database that is new, or whose archive is small, has its partitions from the beginning. What is large is left to
-- the upkeep.
do $pgqrs$
begin
  while (select d.what from :"schema".pgqrs_upkeep_due('{}') d) = 'create' loop
    exit when (select s.trouble from :"schema".pgqrs_upkeep_step('{}') s) is not null;
  end loop;
end
$pgqrs$;
