// pg-boss 12.35 under the faults of pgqrs chaos (docs/chaos.md): its calls behind the face of src/chaos/system.ts.
// At its best for this: jobs expire after a lease and are looked for every second (a minute by default), polled each
// 0.5 s and fetched again at once while batches come back full (woken by LISTEN it polls seldom, and a burst waits), each
// job of a batch settled by itself, retried without its backoff of seconds. Completions happen inside of it: what its
// workers are told of a settle cannot be seen from here.
import { PgBoss } from 'pg-boss'

const auditOf = (schema) => `
create function "${schema}".chaos_audit_job() returns trigger language plpgsql as $chaos$
declare
  v_what text := case
    -- What failed is deleted and inserted again.
    when tg_op = 'INSERT' then case when new.state = 'created' then 'enqueued' else 'failed' end
    when tg_op = 'DELETE' then 'touched'
    when new.state = 'active' and (old.state <> 'active' or new.started_on is distinct from old.started_on) then 'claimed'
    when old.state = 'active' and new.state in ('completed', 'cancelled') then 'left'
    when old.state = 'active' and new.state in ('retry', 'failed') then 'failed'
    else 'touched' end;
  v_row record := case when tg_op = 'DELETE' then old else new end;
begin
  insert into "${schema}".chaos_audit (what, queue, id, key, attempt, held_until, until, priority, due_at)
  values (v_what, v_row.data->>'in', v_row.id::text, v_row.data->>'key',
    -- A retry is counted when it begins.
    case when v_row.started_on is null then 0 else v_row.retry_count + 1 end,
    case when tg_op <> 'INSERT' and old.state = 'active' then old.started_on + old.expire_seconds * interval '1 second' end,
    case when tg_op <> 'DELETE' and new.state = 'active' then new.started_on + new.expire_seconds * interval '1 second' end,
    v_row.priority, v_row.start_after);
  return null;
end $chaos$;
create trigger chaos_audit after insert or update or delete on "${schema}".job
  for each row execute function "${schema}".chaos_audit_job()`

const optionsOf = ({ priority, delayMs }) => ({
  ...(priority === undefined ? {} : { priority }),
  ...(delayMs === undefined ? {} : { startAfter: new Date(Date.now() + delayMs) }),
})

const bossOf = (connectionString, schema, more = {}) =>
  new PgBoss({ connectionString, schema, max: 8, ...more })

async function install({ pool, dsn, schema }, { leaseMs, maxAttempts }) {
  const boss = bossOf(dsn, schema, { supervise: false })
  boss.on('error', () => {})
  await boss.start()
  const queue = { retryLimit: maxAttempts - 1, retryDelay: 0 }
  await boss.createQueue('work', { ...queue, expireInSeconds: leaseMs / 1_000 })
  // It renews nothing: what runs longer has to expire later.
  await boss.createQueue('slow', { ...queue, expireInSeconds: (3 * leaseMs) / 1_000 })
  await boss.stop({ graceful: false, close: true })
  await pool.query(auditOf(schema))
}

async function open({ pool, dsn, schema, application }) {
  const connection = new URL(dsn)
  connection.searchParams.set('application_name', application)
  const boss = bossOf(connection.href, schema, {
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
    migrate: false,
  })
  const hear = { trouble: () => {} }
  boss.on('error', (error) => hear.trouble(error))
  await boss.start()
  return {
    async enqueue(entries, tx) {
      const within = tx && { db: { executeSql: (text, values) => tx.query(text, values) } }
      const [{ payload, ...options }] = entries
      if (entries.length === 1)
        return [await boss.send(payload.in, payload, { ...optionsOf(options), ...within })]
      const jobs = entries.map(({ payload: data, ...more }) => ({ data, ...optionsOf(more) }))
      return boss.insert(payload.in, jobs, { returnId: true, ...within })
    },
    async work({ concurrency, timeoutMs, slowTimeoutMs, handle, trouble }) {
      hear.trouble = trouble
      const options = {
        pollingIntervalSeconds: 0.5,
        burstWhenBatchFull: true,
        includeMetadata: true,
        perJobResults: true,
      }
      const one = async ({ id, retryCount, data }, limitMs) => {
        const job = { id, attempt: retryCount + 1, payload: data, signal: AbortSignal.timeout(limitMs) }
        try {
          await handle(job)
          return { id, status: 'completed' }
        } catch (error) {
          return { id, status: 'failed', output: { message: String(error) } }
        }
      }
      const all = (limitMs) => (jobs) => Promise.all(jobs.map((job) => one(job, limitMs)))
      await boss.work(
        'work',
        { ...options, batchSize: 5, localConcurrency: Math.ceil(concurrency / 2) },
        all(timeoutMs),
      )
      await boss.work(
        'slow',
        { ...options, batchSize: 1, localConcurrency: Math.ceil(concurrency / 2) },
        all(slowTimeoutMs),
      )
      return {
        holders: [],
        stop: () => boss.stop({ graceful: true, timeout: 3_000, close: false }).catch(trouble),
      }
    },
    async close() {
      await boss.stop({ graceful: false, close: true }).catch(() => {})
      await pool.end().catch(() => {})
    },
  }
}

async function finals({ pool, schema }) {
  const { rows } = await pool.query(
    `select id::text as id, data->>'key' as key, retry_count + 1 as attempt, retry_count + 1 as counted,
      retry_limit + 1 as "maxAttempts", output::text as "lastError",
      case state when 'completed' then 'archived' when 'failed' then 'dead' else 'live' end as state
    from "${schema}".job`,
  )
  return rows
}

export default {
  name: 'pg-boss 12.35.0',
  offers: { handlerTransactions: false, byHand: false, leases: false, deadLetters: true, archive: true },
  install,
  open,
  finals,
  left: async (place) => (await finals(place)).filter(({ state }) => state === 'live').length,
}
