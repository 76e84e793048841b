// 2: how fast messages are taken in batches.
import { enqueueFor } from '../enqueue-for.js'
import { boss, bullRedis, graphile, type Scenario, times } from '../scenario.js'

const batch = 1_000

export const enqueueBatches: Scenario = {
  number: 2,
  name: 'enqueue in batches of 1,000',
  measures: 'One process, one batch after the other, each awaited.',
  units: { rate: 'messages/s' },
  systems: [
    'pgqrs',
    'graphile-worker',
    'pg-boss',
    ...bullRedis.filter((name) => name !== 'bullmq-best'),
    'bullmq-postgres',
    'postgres-rows',
    'postgres-json',
    'postgres-copy',
  ],
  asked: [
    times(2.3, graphile, { text: 'graphile-worker' }),
    times(2.3, boss, { text: 'pg-boss' }),
    times(0.5, ['postgres-rows', 'postgres-json', 'postgres-copy'], {
      text: 'the best INSERT into a bare table, COPY included',
    }),
  ],
  alone: true,
  run(stage) {
    const payloads = new Array(batch).fill(stage.payload)
    return enqueueFor(
      stage,
      1,
      (system) =>
        system.enqueueBatch &&
        (async () => {
          await system.enqueueBatch?.(payloads)
          return batch
        }),
    )
  },
}
