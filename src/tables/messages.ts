// The table pgqrs_messages: the live messages, ready, delayed or leased.
import { Database, type Defaults } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { PgqrsError } from '../words/errors.js'
import { type IdInput, idOf } from '../words/id.js'
import type { Message, MessageHeaders } from '../words/message.js'
import { checkOptions, instant, wholeNumber, yesOrNo } from '../words/options.js'
import { encodeHeaders, encodePayload } from '../words/payload.js'
import {
  boundsOf,
  checkRow,
  foreignKey,
  fromTheStart,
  longestName,
  type Page,
  sessionOf,
  type Table,
  type TransactionOption,
  textOrNull,
} from './table.js'

export interface NewMessage {
  queueId: IdInput
  payload: unknown
  /** Lower first. Default 0. */
  priority?: number
  /** Default: now. A time in the past counts as now. */
  dueAt?: Date
  headers?: MessageHeaders
  /** Default: the queue's. */
  maxAttempts?: number
}

export interface RemoveOptions extends TransactionOption {
  /** Removes the message even while an attempt holds it; the settle of that attempt then gives `false`. */
  force?: boolean
}

export const messageOfRow = <T>(row: Row): Message<T> => ({
  id: row.id,
  queueId: row.queue_id,
  payload: row.payload,
  headers: row.headers,
  priority: row.priority,
  attempt: row.attempt,
  givenBack: row.given_back,
  maxAttempts: row.max_attempts,
  enqueuedAt: row.enqueued_at,
  dueAt: row.due_at,
  leasedUntil: row.leased_until,
  leasedBy: row.leased_by,
  dequeuedAt: row.dequeued_at,
  lastError: row.last_error,
})

export class PgqrsMessages implements Table<Message, NewMessage> {
  readonly #database: Database

  /** @param pool `admin.pool`, or a pool of your own, then with the configuration that names the schema */
  constructor(pool: unknown, config?: Partial<Defaults>) {
    this.#database = Database.of(pool, config)
  }

  /** @throws PgqrsError QUEUE_NOT_FOUND when no queue has this id, PAYLOAD_INVALID, ARGUMENT_INVALID */
  async insert(row: NewMessage, options: TransactionOption = {}): Promise<Message> {
    const known = ['queueId', 'payload', 'priority', 'dueAt', 'headers', 'maxAttempts']
    checkRow(row, known, 'PgqrsMessages.insert')
    const values = [
      foreignKey(row.queueId),
      encodePayload(row.payload),
      wholeNumber(row.priority ?? 0, 'priority', -2_147_483_648, 2_147_483_647),
      row.dueAt === undefined || row.dueAt === null ? null : instant(row.dueAt, 'dueAt'),
      row.headers === undefined ? null : encodeHeaders(row.headers),
      row.maxAttempts === undefined ? null : wholeNumber(row.maxAttempts, 'maxAttempts', 1, 1_000),
    ]
    const [inserted] = await sessionOf(this.#database, options, 'insert').run('insertMessage', values)
    return messageOfRow(inserted as Row)
  }

  async get(id: IdInput): Promise<Message | null> {
    const [row] = await this.#database.run('getMessage', [idOf(id)])
    return row === undefined ? null : messageOfRow(row)
  }

  async list(page?: Page): Promise<Message[]> {
    const { limit, offset } = boundsOf(page)
    return (await this.#database.run('listMessages', [fromTheStart, limit, offset])).map((row) =>
      messageOfRow(row),
    )
  }

  /**
   * Drops a message that nobody holds.
   * @throws PgqrsError MESSAGE_HELD while an attempt holds it, unless forced
   */
  async delete(id: IdInput, options: RemoveOptions = {}): Promise<boolean> {
    checkOptions(options, ['tx', 'force'], 'delete')
    return this.#remove(id, [false, null], options)
  }

  /**
   * Moves a message that nobody holds to the archive.
   * @throws PgqrsError MESSAGE_HELD while an attempt holds it, unless forced
   */
  async archive(id: IdInput, options: RemoveOptions & { archivedBy?: string } = {}): Promise<boolean> {
    checkOptions(options, ['tx', 'force', 'archivedBy'], 'archive')
    return this.#remove(id, [true, textOrNull(options.archivedBy, 'archivedBy', longestName)], options)
  }

  async count(): Promise<number> {
    const [row] = await this.#database.run('countMessages')
    return Number(row?.count)
  }

  async countByFk(queueId: IdInput): Promise<number> {
    const [row] = await this.#database.run('countMessagesOfQueue', [foreignKey(queueId)])
    return Number(row?.count)
  }

  /** In the order of delivery, the delayed and the leased ones among them. */
  async filterByFk(queueId: IdInput, page?: Page): Promise<Message[]> {
    const { limit, offset } = boundsOf(page)
    const rows = await this.#database.run('listMessagesOfQueue', [foreignKey(queueId), limit, offset])
    return rows.map((row) => messageOfRow(row))
  }

  async #remove(id: IdInput, how: [archive: boolean, by: string | null], options: RemoveOptions) {
    const values = [null, idOf(id), ...how, yesOrNo(options.force, 'force') ?? false]
    const [row] = await this.#database.in(options.tx).run('removeMessage', values)
    if (row?.result === 'held')
      throw new PgqrsError('MESSAGE_HELD', `Message ${id} is held by a consumer.`, {
        hint: 'Wait until it is settled or its lease runs out, or force it (--force).',
      })
    return row?.result === 'done'
  }
}
