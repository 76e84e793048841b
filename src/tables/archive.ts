// The table pgqrs_archive: what was settled, archived or dead.
import { Database, type Defaults } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { type IdInput, idOf } from '../words/id.js'
import type { ArchivedMessage, MessageHeaders } from '../words/message.js'
import { instant, oneOf, wholeNumber } from '../words/options.js'
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

export interface NewArchivedMessage {
  queueId: IdInput
  payload: unknown
  /** Default: a new id, of the same sequence as the messages'. */
  id?: IdInput
  headers?: MessageHeaders
  priority?: number
  attempt?: number
  maxAttempts?: number
  enqueuedAt?: Date
  dequeuedAt?: Date
  outcome?: 'archived' | 'dead'
  archivedBy?: string
  lastError?: string
}

export const archivedOfRow = <T>(row: Row): ArchivedMessage<T> => ({
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
  dequeuedAt: row.dequeued_at,
  leasedBy: row.leased_by,
  lastError: row.last_error,
  result: row.result,
  outcome: row.outcome,
  archivedAt: row.archived_at,
  archivedBy: row.archived_by,
  processingDuration: row.processing_duration === null ? null : Number(row.processing_duration),
})

export class PgqrsArchiveTable implements Table<ArchivedMessage, NewArchivedMessage> {
  readonly #database: Database

  /** @param pool `admin.pool`, or a pool of your own, then with the configuration that names the schema */
  constructor(pool: unknown, config?: Partial<Defaults>) {
    this.#database = Database.of(pool, config)
  }

  /** @throws PgqrsError QUEUE_NOT_FOUND when no queue has this id, PAYLOAD_INVALID, ARGUMENT_INVALID */
  async insert(row: NewArchivedMessage, options: TransactionOption = {}): Promise<ArchivedMessage> {
    const known = ['queueId', 'payload', 'id', 'headers', 'priority', 'attempt', 'maxAttempts', 'enqueuedAt']
    checkRow(row, [...known, 'dequeuedAt', 'outcome', 'archivedBy', 'lastError'], 'PgqrsArchiveTable.insert')
    const values = [
      row.id === undefined ? null : idOf(row.id),
      foreignKey(row.queueId),
      timeOrNull(row.enqueuedAt, 'enqueuedAt'),
      timeOrNull(row.dequeuedAt, 'dequeuedAt'),
      wholeNumber(row.priority ?? 0, 'priority', -2_147_483_648, 2_147_483_647),
      wholeNumber(row.attempt ?? 0, 'attempt', 0, 2_147_483_647),
      wholeNumber(row.maxAttempts ?? 5, 'maxAttempts', 1, 1_000),
      oneOf(row.outcome ?? 'archived', 'outcome', ['archived', 'dead']),
      textOrNull(row.archivedBy, 'archivedBy', longestName),
      encodePayload(row.payload),
      row.headers === undefined ? null : encodeHeaders(row.headers),
      textOrNull(row.lastError, 'lastError'),
    ]
    const [inserted] = await sessionOf(this.#database, options, 'insert').run('insertArchived', values)
    return archivedOfRow(inserted as Row)
  }

  async get(id: IdInput): Promise<ArchivedMessage | null> {
    const [row] = await this.#database.run('getArchived', [idOf(id)])
    return row === undefined ? null : archivedOfRow(row)
  }

  async list(page?: Page): Promise<ArchivedMessage[]> {
    const { limit, offset } = boundsOf(page)
    const rows = await this.#database.run('listArchived', [fromTheStart, limit, offset])
    return rows.map((row) => archivedOfRow(row))
  }

  async delete(id: IdInput, options: TransactionOption = {}): Promise<boolean> {
    return (await sessionOf(this.#database, options, 'delete').run('deleteArchived', [idOf(id)])).length > 0
  }

  async count(): Promise<number> {
    const [row] = await this.#database.run('countArchived')
    return Number(row?.count)
  }

  async countByFk(queueId: IdInput): Promise<number> {
    const [row] = await this.#database.run('countArchivedOfQueue', [foreignKey(queueId)])
    return Number(row?.count)
  }

  /** The most recently archived first. */
  async filterByFk(queueId: IdInput, page?: Page): Promise<ArchivedMessage[]> {
    const { limit, offset } = boundsOf(page)
    const rows = await this.#database.run('listArchivedOfQueue', [foreignKey(queueId), limit, offset])
    return rows.map((row) => archivedOfRow(row))
  }
}

const timeOrNull = (value: unknown, what: string): Date | null =>
  value === undefined || value === null ? null : instant(value, what)
