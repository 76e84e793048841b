// 1: how fast messages are taken one by one.
import { enqueueFor } from '../enqueue-for.js'
import { boss, bullRedis, graphile, type Scenario, times } from '../scenario.js'

const atOnce = 32

export const enqueueOne: Scenario = {
  number: 1,
  name: '32 concurrent enqueue(), each awaited',
  measures:
    'One process, 32 at a time, each awaited before its next; the last acknowledgement stops the clock.',
  units: { rate: 'messages/s' },
  systems: ['pgqrs', ...graphile, ...boss, ...bullRedis, 'bullmq-postgres', 'postgres-rows'],
  asked: [
    times(25, graphile, { text: 'graphile-worker' }),
    times(25, boss, { text: 'pg-boss' }),
    times(2, ['bullmq', 'bullmq-best'], { text: 'BullMQ on Redis as Debian ships it, not durable' }),
    times(2, ['bullmq-best-durable'], { text: 'BullMQ on Redis with appendfsync always, as durable' }),
    times(1.5, ['postgres-rows'], { text: "the bare table's single INSERTs on 32 connections" }),
  ],
  alone: true,
  run: (stage) =>
    enqueueFor(
      stage,
      atOnce,
      (system) =>
        system.enqueue &&
        (async () => {
          await system.enqueue?.(stage.payload)
          return 1
        }),
    ),
}
