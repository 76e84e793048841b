// graphile-worker 0.18 under the faults of pgqrs chaos (docs/chaos.md): its calls behind the face of src/chaos/system.ts.
// A handler's time limit is a signal of ours: it has none. Polls each 300 ms, concurrency 10; the rest is as it comes.
// Its event job:complete is heard before the completion is written, and says nothing of whether it was.
import { Logger } from '@graphile/logger'
import { makeWorkerUtils, run, runMigrations } from 'graphile-worker'

const silent = new Logger(() => () => {})
/** Retries wait for exp(attempts) seconds, and cannot be told otherwise: six would take five minutes. */
const maxAttempts = 3

/** A lock is taken over four hours after it was taken; that, too, cannot be told otherwise. */
const auditOf = (schema) => `
create function "${schema}".chaos_audit_job() returns trigger language plpgsql as $chaos$
declare
  v_row record := case when tg_op = 'DELETE' then old else new end;
  v_what text := case
    when tg_op = 'INSERT' then 'enqueued'
    when tg_op = 'DELETE' then 'left'
    when new.attempts > old.attempts then 'claimed'
    when old.locked_at is not null and new.locked_at is null then 'failed'
    else 'touched' end;
begin
  insert into "${schema}".chaos_audit (what, queue, id, key, attempt, held_until, until, holder, priority, due_at)
  values (v_what, v_row.payload->>'in', v_row.id::text, v_row.payload->>'key', v_row.attempts,
    case when tg_op <> 'INSERT' then old.locked_at + interval '4 hours' end,
    case when tg_op <> 'DELETE' then new.locked_at + interval '4 hours' end,
    v_row.locked_by, v_row.priority, v_row.run_at);
  return null;
end $chaos$;
create trigger chaos_audit after insert or update or delete on "${schema}"._private_jobs
  for each row execute function "${schema}".chaos_audit_job()`

const specOf = ({ priority, delayMs }) => ({
  maxAttempts,
  ...(priority === undefined ? {} : { priority }),
  ...(delayMs === undefined ? {} : { runAt: new Date(Date.now() + delayMs) }),
})

async function open({ pool, schema }) {
  const utils = await makeWorkerUtils({ pgPool: pool, schema, logger: silent })
  return {
    async enqueue(entries, tx) {
      if (tx !== undefined) {
        const ids = []
        for (const { payload, ...options } of entries) {
          const { runAt, priority } = specOf(options)
          const { rows } = await tx.query(
            `select id from "${schema}".add_job($1, payload := $2::json, run_at := $3, max_attempts := $4, priority := $5)`,
            [payload.in, JSON.stringify(payload), runAt ?? null, maxAttempts, priority ?? null],
          )
          ids.push(String(rows[0].id))
        }
        return ids
      }
      if (entries.length === 1) {
        const [{ payload, ...options }] = entries
        return [String((await utils.addJob(payload.in, payload, specOf(options))).id)]
      }
      const jobs = entries.map(({ payload, ...options }) => ({
        identifier: payload.in,
        payload,
        ...specOf(options),
      }))
      return (await utils.addJobs(jobs)).map(({ id }) => String(id))
    },
    async work({ concurrency, timeoutMs, slowTimeoutMs, handle, trouble }) {
      const task =
        (limitMs) =>
        (payload, { job }) =>
          handle({ id: String(job.id), attempt: job.attempts, payload, signal: AbortSignal.timeout(limitMs) })
      const runner = await run({
        pgPool: pool,
        schema,
        concurrency,
        pollInterval: 300,
        // Through PgBouncer they would not work.
        noPreparedStatements: true,
        noHandleSignals: true,
        logger: silent,
        taskList: { work: task(timeoutMs), slow: task(slowTimeoutMs) },
      })
      // As a program does that awaits it: what it throws there ends the process.
      runner.promise.catch((error) => {
        trouble(error)
        process.stderr.write(`${error?.stack ?? error}\n`)
        process.exit(1)
      })
      return { holders: [], stop: () => runner.stop().catch(trouble) }
    },
    close: async () => utils.release(),
  }
}

async function finals({ pool, schema }) {
  const { rows } = await pool.query(
    `select id::text as id, payload->>'key' as key, attempts as attempt, attempts as counted,
      max_attempts as "maxAttempts", last_error as "lastError",
      case when attempts >= max_attempts and locked_at is null then 'dead' else 'live' end as state
    from "${schema}"._private_jobs`,
  )
  return rows
}

export default {
  name: 'graphile-worker 0.18.0',
  offers: { handlerTransactions: false, byHand: false, leases: false, deadLetters: true, archive: false },
  async install({ pool, schema }) {
    await runMigrations({ pgPool: pool, schema, logger: silent })
    await pool.query(auditOf(schema))
  },
  open,
  finals,
  left: async (place) => (await finals(place)).filter(({ state }) => state === 'live').length,
}
