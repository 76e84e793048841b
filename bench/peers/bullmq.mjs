// BullMQ 6, on Redis and on PostgreSQL: its settings, each with its reason, and its calls behind the face of
// src/bench/system.ts. Which Redis a system of this file gets is in ../servers.ts.
import { createPostgresBackend, Queue, runMigrations, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'

/** `new Worker(name, handler)`: one job at a time, finished jobs kept. https://docs.bullmq.io/guide/workers */
export const defaults = { worker: {}, job: {}, postgres: {} }

/**
 * - concurrency 100: "a perfectly good practice to choose a high concurrency factor"; more of it, and a second
 *   worker in the process, was no faster here. https://docs.bullmq.io/guide/workers/concurrency
 * - removeOnComplete: finished jobs are not kept. https://docs.bullmq.io/guide/going-to-production
 * - on PostgreSQL a pool of 32, for "enough pool connections for its concurrency".
 *   https://docs.bullmq.io/guide/postgresql
 */
export const best = {
  worker: { concurrency: 100 },
  job: { removeOnComplete: true },
  postgres: { max: 32 },
}

const name = 'bench'

export const bullmq = (settings, backend) => async (place) => {
  const onRedis = backend === 'redis'
  const connection = onRedis
    ? { host: '127.0.0.1', port: place.redisPort, maxRetriesPerRequest: null }
    : { connectionString: place.dsn, ...settings.postgres }
  const factory = onRedis ? [] : [createPostgresBackend]
  const observer = onRedis
    ? new Redis({ port: place.redisPort, maxRetriesPerRequest: null })
    : new pg.Pool({ connectionString: place.dsn, max: 1 })
  let queue
  let worker
  let completed = 0
  const system = {
    async prepare() {
      if (!onRedis) {
        const client = await observer.connect()
        try {
          await runMigrations(client)
        } finally {
          client.release()
        }
      }
      queue = new Queue(name, { connection, defaultJobOptions: settings.job }, ...factory)
      queue.on('error', (error) => process.stderr.write(`bullmq: ${error.message}\n`))
      await queue.waitUntilReady()
    },
    enqueue: (payload) => queue.add('job', payload),
    enqueueBatch: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'job', data }))),
    async work(handler, { concurrency } = {}) {
      const options = { ...settings.worker, ...(concurrency === undefined ? {} : { concurrency }) }
      worker = new Worker(name, async (job) => handler(job.data), { connection, ...options }, ...factory)
      worker.on('error', (error) => process.stderr.write(`bullmq: ${error.message}\n`))
      // Said when the settle is acknowledged.
      worker.on('completed', () => {
        completed += 1
      })
      await worker.waitUntilReady()
    },
    settled: async () => completed,
    async tidy() {
      if (!onRedis) await observer.query('vacuum analyze')
    },
    async close() {
      await worker?.close(true)
      await queue?.close()
      await (onRedis ? observer.quit() : observer.end())
    },
  }
  if (!onRedis) return system
  return {
    ...system,
    async counters() {
      const info = await observer.info()
      const number = (field) => {
        const found = new RegExp(`^${field}:(\\d+)`, 'm').exec(info)
        return found === null ? null : Number(found[1])
      }
      return {
        commits: null,
        statements: number('total_commands_processed'),
        wal: number('aof_current_size'),
        deadRows: null,
      }
    },
  }
}

export const makers = {
  bullmq: bullmq(defaults, 'redis'),
  'bullmq-best': bullmq(best, 'redis'),
  'bullmq-best-durable': bullmq(best, 'redis'),
  'bullmq-postgres': bullmq(defaults, 'postgres'),
  'bullmq-postgres-best': bullmq(best, 'postgres'),
}
