// Every setting of every system, at its defaults and at its best, with the reason.

/** https://worker.graphile.org/docs/performance: the configuration of its authors' own figures. */
export const graphileBest = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
}

/** What `run` does without options: one job at a time, polled each 2 s and woken by LISTEN. */
export const graphileDefault = {}

/**
 * docs/api/workers.md of pg-boss: the largest batches in use, fetched again at once while they come back full
 * (`burstWhenBatchFull`), woken by LISTEN/NOTIFY (`useListenNotify`, `notify`), two fetches side by side so that
 * one completes while the other runs; more of them were slower here.
 */
export const bossBest = {
  constructor: { useListenNotify: true },
  queue: { notify: true },
  work: { batchSize: 1_000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 2 },
}

/** `boss.work(queue, handler)`: one job for each poll of 2 s. */
export const bossDefault = { constructor: {}, queue: {}, work: {} }

/** pgqrs without an option; and with the two that are compared with systems that keep nothing. */
export const pgqrsDefault = {}
export const pgqrsDelete = { onSuccess: 'delete' }
