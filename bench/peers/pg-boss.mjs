// pg-boss 12.35: its settings, each with its reason, and its calls behind the face of src/bench/system.ts.
import pg from 'pg'
import { PgBoss } from 'pg-boss'

/** `boss.work(queue, handler)`: one job for each poll of 2 s. https://pgboss.io/api/workers */
export const defaults = { constructor: {}, queue: {}, work: {} }

/**
 * From https://pgboss.io/api/workers, https://pgboss.io/api/constructor and https://pgboss.io/api/queues:
 * - batchSize 1,000: one fetch and one completion for so many jobs
 * - burstWhenBatchFull: fetched again at once while batches come back full, instead of after the poll
 * - useListenNotify and the queue's notify: woken when a job is created; the poll each 0.5 s is the least allowed
 * - localConcurrency 2: one batch completes while the other runs; more of them were slower here
 * - max 32 connections: one for each send that scenario 1 has under way (default 10)
 */
export const best = {
  constructor: { useListenNotify: true, max: 32 },
  queue: { notify: true },
  work: { batchSize: 1_000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 2 },
}

const nameOf = (queue = 0) => `bench_${queue}`
const step = 250_000

export const pgBoss = (settings) => async (place) => {
  const boss = new PgBoss({ connectionString: place.dsn, ...settings.constructor })
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
  const observer = new pg.Pool({ connectionString: place.dsn, max: 1 })
  const completed = async () => {
    const { rows } = await observer.query(
      "select count(*)::int as done from pgboss.job where state = 'completed'",
    )
    return rows[0].done
  }
  // It keeps what is finished in the table: what was there before does not count.
  let before = 0
  return {
    async prepare(queues = 1) {
      await boss.start()
      before = await completed()
      for (let queue = 0; queue < queues; queue++) await boss.createQueue(nameOf(queue), settings.queue)
    },
    enqueue: (payload) => boss.send(nameOf(), payload),
    enqueueBatch: (payloads, { queue } = {}) =>
      boss.insert(
        nameOf(queue),
        payloads.map((data) => ({ data })),
      ),
    async work(handler, { concurrency, queues = 1 } = {}) {
      const options = { ...settings.work }
      // So many handlers at once: a batch of that size, all of it at the same time.
      if (concurrency !== undefined) Object.assign(options, { batchSize: concurrency, localConcurrency: 1 })
      const atOnce = async (jobs) => {
        await Promise.all(jobs.map((job) => handler(job.data)))
      }
      const oneByOne = async (jobs) => {
        for (const job of jobs) await handler(job.data)
      }
      for (let queue = 0; queue < queues; queue++)
        await boss.work(nameOf(queue), options, concurrency === undefined ? oneByOne : atOnce)
    },
    settled: async () => (await completed()) - before,
    async dequeue() {
      const [job] = await boss.fetch(nameOf())
      return job === undefined ? null : () => boss.complete(nameOf(), job.id)
    },
    async fill({ ready = 0, delayed = 0, archived = 0 }) {
      const data = JSON.stringify({ to: 'ada@example.com', note: 'x'.repeat(60) })
      const insert = async (count, state, from, to) => {
        for (let done = 0; done < count; done += step)
          await observer.query(
            `insert into pgboss.job (name, data, state, start_after, created_on, completed_on, policy)
            select $1, $2::jsonb, $3::text::pgboss.job_state, now() + ($5::float8 + ($6::float8 - $5::float8) * n / $4::float8) * interval '1 second',
              now() - interval '1 day', case when $3::text = 'completed' then now() end, 'standard'
            from generate_series(1, $4::int) n`,
            [nameOf(), data, state, Math.min(step, count - done), from, to],
          )
      }
      await insert(ready, 'created', -3_600, 0)
      await insert(delayed, 'created', 600, 7_200)
      // It keeps what is finished in the same table, for a week by default.
      await insert(archived, 'completed', -86_400, -3_600)
    },
    tidy: () => observer.query('vacuum analyze'),
    async close() {
      await boss.stop({ graceful: false, close: true }).catch(() => {})
      await observer.end()
    },
  }
}

export const makers = { 'pg-boss': pgBoss(defaults), 'pg-boss-best': pgBoss(best) }
