// How a queue stands, counted in the database at the moment of the call.
import type { Database } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { PgqrsError } from '../words/errors.js'
import type { Id } from '../words/id.js'
import { checkQueueName } from '../words/names.js'
import { checkOptions, yesOrNo } from '../words/options.js'

export interface QueueMetrics {
  readonly queueId: Id
  readonly name: string
  /** Ready: due, and held by nobody. */
  readonly pendingCount: number
  /** Held under a lease that has not run out. */
  readonly leasedCount: number
  /** Not due yet. */
  readonly delayedCount: number
  /** Dead letters. */
  readonly deadCount: number
  /** In the archive, without the dead letters. */
  readonly archivedCount: number
  /** All of these together. */
  readonly totalCount: number
  /** Milliseconds for which the oldest ready message has been due; null when none is ready. */
  readonly oldestPendingAgeMs: number | null
  /**
   * Whether there are more than 20,000 messages, live or archived, and what is beyond was taken from the server's
   * statistics: its total is usually right to some percent, less so after a burst.
   */
  readonly estimated: boolean
}

export interface MetricsOptions {
  /** Counts every message, which takes seconds for millions. Default false. */
  exact?: boolean
}

/** What is counted one by one, of each queue: tens of milliseconds. */
const countedAtMost = 20_000

async function rowsOf(database: Database, name: string | null, options: MetricsOptions, of: string) {
  checkOptions(options, ['exact'], of)
  if (yesOrNo(options.exact, 'exact')) return database.run('exactQueueMetrics', [name])
  return database.run('queueMetrics', [name, countedAtMost])
}

function metricsOfRow(row: Row): QueueMetrics {
  const pendingCount = Number(row.pending)
  const leasedCount = Number(row.leased)
  const delayedCount = Number(row.delayed)
  const deadCount = Number(row.dead)
  const archivedCount = Number(row.archived)
  return {
    queueId: row.id,
    name: row.name,
    pendingCount,
    leasedCount,
    delayedCount,
    deadCount,
    archivedCount,
    totalCount: pendingCount + leasedCount + delayedCount + deadCount + archivedCount,
    oldestPendingAgeMs: row.oldest_pending_age_ms === null ? null : Number(row.oldest_pending_age_ms),
    estimated: row.estimated,
  }
}

/** @throws PgqrsError QUEUE_NOT_FOUND */
export async function queueMetrics(
  database: Database,
  name: string,
  options: MetricsOptions,
): Promise<QueueMetrics> {
  const [row] = await rowsOf(database, checkQueueName(name), options, 'queueMetrics')
  if (row === undefined) throw queueNotFound(name)
  return metricsOfRow(row)
}

/** By name. */
export async function allQueuesMetrics(database: Database, options: MetricsOptions): Promise<QueueMetrics[]> {
  return (await rowsOf(database, null, options, 'allQueuesMetrics')).map(metricsOfRow)
}

export function queueNotFound(name: string): PgqrsError {
  return new PgqrsError('QUEUE_NOT_FOUND', `Queue '${name}' does not exist.`, {
    hint: 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).',
  })
}
