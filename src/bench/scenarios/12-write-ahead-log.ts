// 12: what a message costs the server's log and its vacuum.
import { noOps } from '../no-ops.js'
import { bounded, type Scenario } from '../scenario.js'

export const writeAheadLog: Scenario = {
  number: 12,
  name: 'write-ahead log and dead rows for each message, claim and settle',
  measures:
    'A drain as in 3 and 4. All WAL of the server while it runs; the checkpoint was before the queue was filled, so whole pages are logged when it is filled. Dead rows are versions that updates and deletes left behind.',
  units: { wal: 'bytes', deadRows: 'rows' },
  systems: ['pgqrs-delete', 'pgqrs', 'graphile-worker-best', 'pg-boss-best', 'bullmq-postgres-best'],
  asked: [
    bounded('wal', { text: 'bytes, deleted', atMost: 600, system: 'pgqrs-delete' }),
    bounded('wal', { text: 'bytes, archived', atMost: 900 }),
    bounded('deadRows', { text: 'dead rows', atMost: 2.05 }),
  ],
  alone: true,
  async run(stage) {
    const { costs } = await noOps(stage)
    const values: Record<string, number> = {}
    for (const key of ['wal', 'deadRows'] as const) {
      const value = costs?.[key] ?? null
      if (value !== null) values[key] = value
    }
    return { values, costs }
  },
}
