// The table pgqrs_queues: which queues there are.
import { Database, type Defaults } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type IdInput, idOf } from '../words/id.js'
import type { QueueInfo } from '../words/message.js'
import { checkQueueName } from '../words/names.js'
import { oneOf, wholeNumber } from '../words/options.js'
import {
  boundsOf,
  checkRow,
  foreignKey,
  fromTheStart,
  type Page,
  sessionOf,
  type Table,
  type TransactionOption,
} from './table.js'

export interface NewQueue {
  name: string
  /** Attempts of a message that does not say otherwise. Default 5, from 1 to 1,000. */
  maxAttempts?: number | undefined
  /** What a worker does with a message whose handler succeeded. Default `archive`. */
  onSuccess?: 'archive' | 'delete' | undefined
  /** For how long its archived messages are kept at least. From a minute; default null: until they are purged. */
  retention?: Duration | null | undefined
  /** The same for its dead letters. Default null: until they are redriven or purged. */
  deadRetention?: Duration | null | undefined
}

/** The settings of a queue that can be changed. */
export type QueueSettings = Omit<NewQueue, 'name'>

const shortestRetentionMs = 60_000

export const queueOfRow = (row: Row): QueueInfo => ({
  id: row.id,
  name: row.name,
  maxAttempts: row.max_attempts,
  onSuccess: row.on_success,
  retention: row.retention === null ? null : Number(row.retention),
  deadRetention: row.dead_retention === null ? null : Number(row.dead_retention),
  pausedAt: row.paused_at,
  createdAt: row.created_at,
})

export class PgqrsQueues implements Table<QueueInfo, NewQueue> {
  readonly #database: Database

  /** @param pool `admin.pool`, or a pool of your own, then with the configuration that names the schema */
  constructor(pool: unknown, config?: Partial<Defaults>) {
    this.#database = Database.of(pool, config)
  }

  /** @throws PgqrsError QUEUE_EXISTS, ARGUMENT_INVALID */
  async insert(row: NewQueue, options: TransactionOption = {}): Promise<QueueInfo> {
    checkRow(row, ['name', ...queueSettings], 'PgqrsQueues.insert')
    const name = checkQueueName(row.name)
    const { maxAttempts, onSuccess, retention, deadRetention } = settingsOf(row)
    const values = [name, maxAttempts, onSuccess, retention ?? null, deadRetention ?? null]
    const [inserted] = await sessionOf(this.#database, options, 'insert').run('insertQueue', values)
    if (inserted === undefined)
      throw new PgqrsError('QUEUE_EXISTS', `Queue '${name}' exists already.`, {
        hint: 'Use it, or choose another name.',
      })
    return queueOfRow(inserted)
  }

  /**
   * Changes the settings that are given.
   * @returns the queue as it is now; null when there is none of this name
   * @throws PgqrsError ARGUMENT_INVALID
   */
  async update(name: string, settings: QueueSettings, options: TransactionOption = {}) {
    checkRow(settings, queueSettings, 'PgqrsQueues.update')
    const { maxAttempts, onSuccess, retention, deadRetention } = settingsOf(settings)
    const kept = [
      retention !== undefined,
      retention ?? null,
      deadRetention !== undefined,
      deadRetention ?? null,
    ]
    const values = [checkQueueName(name), maxAttempts, onSuccess, ...kept]
    const [row] = await sessionOf(this.#database, options, 'an update').run('updateQueue', values)
    return row === undefined ? null : queueOfRow(row)
  }

  async get(id: IdInput): Promise<QueueInfo | null> {
    const [row] = await this.#database.run('getQueue', [idOf(id)])
    return row === undefined ? null : queueOfRow(row)
  }

  async getByName(name: string): Promise<QueueInfo | null> {
    const [row] = await this.#database.run('getQueueByName', [checkQueueName(name)])
    return row === undefined ? null : queueOfRow(row)
  }

  async list(page?: Page): Promise<QueueInfo[]> {
    const { limit, offset } = boundsOf(page)
    return (await this.#database.run('listQueues', [fromTheStart, limit, offset])).map(queueOfRow)
  }

  /** @throws PgqrsError QUEUE_NOT_EMPTY while it has messages, archived messages or workers */
  async delete(id: IdInput, options: TransactionOption = {}): Promise<boolean> {
    const known = idOf(id)
    const session = sessionOf(this.#database, options, 'delete')
    try {
      return (await session.run('deleteQueue', [known])).length > 0
    } catch (error) {
      throw notEmpty(error, `The queue with id ${known}`)
    }
  }

  async count(): Promise<number> {
    const [row] = await this.#database.run('countQueues')
    return Number(row?.count)
  }

  /** A queue has no foreign key: counts the queue itself. */
  async countByFk(queueId: IdInput): Promise<number> {
    const [row] = await this.#database.run('countQueuesById', [foreignKey(queueId)])
    return Number(row?.count)
  }

  /** A queue has no foreign key: gives the queue itself. */
  async filterByFk(queueId: IdInput, page?: Page): Promise<QueueInfo[]> {
    const { limit, offset } = boundsOf(page)
    const queue = await this.get(foreignKey(queueId))
    return queue === null ? [] : [queue].slice(offset, offset + limit)
  }
}

export const queueSettings = ['maxAttempts', 'onSuccess', 'retention', 'deadRetention'] as const

/** Checked, times in milliseconds. What is not given is null, but for the retentions, where null is a value. */
export function settingsOf({ maxAttempts, onSuccess, retention, deadRetention }: QueueSettings) {
  return {
    maxAttempts: maxAttempts === undefined ? null : wholeNumber(maxAttempts, 'maxAttempts', 1, 1_000),
    onSuccess: onSuccess === undefined ? null : oneOf(onSuccess, 'onSuccess', ['archive', 'delete']),
    retention: retentionMs(retention, 'retention'),
    deadRetention: retentionMs(deadRetention, 'deadRetention'),
  }
}

const retentionMs = (value: Duration | null | undefined, what: string) =>
  value === undefined || value === null ? value : durationMs(value, what, { atLeastMs: shortestRetentionMs })

/** The error of a delete that the queue's own rows forbid, in the words of this table; others as they are. */
export function notEmpty(error: unknown, what: string): unknown {
  if (!PgqrsError.is(error) || error.details.sqlstate !== '23503') return error
  return new PgqrsError('QUEUE_NOT_EMPTY', `${what} still has messages, archived messages or workers.`, {
    hint: 'Purge its messages and its archive and stop its workers first, or delete it with force (--force).',
    cause: error,
  })
}
