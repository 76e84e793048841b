// The table pgqrs_queues: which queues there are.
import { Database, type Defaults } from '../database/database.js'
import type { Row } from '../database/driver.js'
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
}

export const queueOfRow = (row: Row): QueueInfo => ({
  id: row.id,
  name: row.name,
  maxAttempts: row.max_attempts,
  onSuccess: row.on_success,
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
    checkRow(row, ['name', 'maxAttempts', 'onSuccess'], 'PgqrsQueues.insert')
    const name = checkQueueName(row.name)
    const attempts =
      row.maxAttempts === undefined ? null : wholeNumber(row.maxAttempts, 'maxAttempts', 1, 1_000)
    const onSuccess =
      row.onSuccess === undefined ? null : oneOf(row.onSuccess, 'onSuccess', ['archive', 'delete'])
    const values = [name, attempts, onSuccess]
    const [inserted] = await sessionOf(this.#database, options, 'insert').run('insertQueue', values)
    if (inserted === undefined)
      throw new PgqrsError('QUEUE_EXISTS', `Queue '${name}' exists already.`, {
        hint: 'Use it, or choose another name.',
      })
    return queueOfRow(inserted)
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

/** The error of a delete that the queue's own rows forbid, in the words of this table; others as they are. */
export function notEmpty(error: unknown, what: string): unknown {
  if (!PgqrsError.is(error) || error.details.sqlstate !== '23503') return error
  return new PgqrsError('QUEUE_NOT_EMPTY', `${what} still has messages, archived messages or workers.`, {
    hint: 'Purge its messages and its archive and stop its workers first, or delete it with force (--force).',
    cause: error,
  })
}
