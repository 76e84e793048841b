// 3: a drain in which nobody keeps anything.
import { clock, noOps } from '../no-ops.js'
import { type Scenario, times } from '../scenario.js'

export const drainDeleting: Scenario = {
  number: 3,
  name: 'drain 100,000 no-ops, one process, deleted on success',
  measures: `A handler is called for each message; ${clock}.`,
  units: { rate: 'messages/s' },
  systems: [
    'pgqrs-delete',
    'graphile-worker-best',
    'pg-boss-best',
    'bullmq-best',
    'bullmq-best-durable',
    'bullmq-postgres-best',
  ],
  asked: [
    times(2.7, ['graphile-worker-best'], { text: 'graphile-worker at its best', own: 'pgqrs-delete' }),
    times(3.5, ['pg-boss-best'], { text: 'pg-boss at its best', own: 'pgqrs-delete' }),
    times(6, ['bullmq-best'], {
      text: 'BullMQ on Redis as Debian ships it, not durable',
      own: 'pgqrs-delete',
    }),
    times(6, ['bullmq-best-durable'], {
      text: 'BullMQ on Redis with appendfsync always, as durable',
      own: 'pgqrs-delete',
    }),
  ],
  alone: true,
  run: noOps,
}
