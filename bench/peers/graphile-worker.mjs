// graphile-worker 0.18: its settings, each with its reason, and its calls behind the face of src/bench/system.ts.
import { Logger } from '@graphile/logger'
import { makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'

/**
 * What `run` does without options: one job at a time, polled each 2 s and woken by LISTEN; a pool of 10.
 * https://worker.graphile.org/docs/library/run
 */
export const defaults = { worker: {}, pool: {} }

/**
 * The configuration of its authors' own figures, all of it: https://worker.graphile.org/docs/performance
 * - concurrentJobs 24, maxPoolSize 25
 * - localQueue of 500: jobs are fetched in batches and handed out in the process
 * - completeJobBatchDelay and failJobBatchDelay 0: finished jobs are settled together
 * For enqueues, a connection for each of the 32 that scenario 1 has under way: addJob has no batching of its own.
 */
export const best = {
  worker: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
  pool: { maxPoolSize: 32 },
}

const taskOf = (queue = 0) => `bench_${queue}`
const silent = new Logger(() => () => {})

export const graphileWorker = (settings) => async (place) => {
  const utils = await makeWorkerUtils({ connectionString: place.dsn, logger: silent, ...settings.pool })
  const observer = new pg.Pool({ connectionString: place.dsn, max: 1 })
  let runner
  return {
    prepare: () => utils.migrate(),
    enqueue: (payload) => utils.addJob(taskOf(), payload),
    enqueueBatch: (payloads, { queue } = {}) =>
      utils.addJobs(payloads.map((payload) => ({ identifier: taskOf(queue), payload }))),
    async work(handler, { concurrency, queues = 1 } = {}) {
      const wanted = { ...settings.worker }
      // A pool as large as its authors advise: one connection more than jobs at once, up to what the server has.
      if (concurrency !== undefined)
        Object.assign(wanted, { concurrentJobs: concurrency, maxPoolSize: Math.min(concurrency + 1, 90) })
      const task = async (payload) => handler(payload)
      runner = await run({
        preset: { worker: { connectionString: place.dsn, logger: silent, ...wanted } },
        taskList: Object.fromEntries(Array.from({ length: queues }, (_, n) => [taskOf(n), task])),
        noHandleSignals: true,
      })
    },
    async settled(enqueued) {
      const { rows } = await observer.query('select count(*)::int as left from graphile_worker._private_jobs')
      return enqueued - rows[0].left
    },
    tidy: () => observer.query('vacuum analyze'),
    async close() {
      await runner?.stop().catch(() => {})
      await utils.release()
      await observer.end()
    },
  }
}

export const makers = {
  'graphile-worker': graphileWorker(defaults),
  'graphile-worker-best': graphileWorker(best),
}
