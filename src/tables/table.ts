// The one interface of the four tables, and the paging that their lists share.
import type { Database, Session } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'
import type { Id, IdInput } from '../words/id.js'
import { idOf } from '../words/id.js'
import { checkOptions, storableText, wholeNumber } from '../words/options.js'

/** Which part of a list: lists are bounded. */
export interface Page {
  /** Rows at most. Default 100, from 1 to 10,000. */
  limit?: number
  /** Rows to pass over first. Default 0. */
  offset?: number
}

export interface TransactionOption {
  /** A client of yours, inside your transaction: what is done becomes true when that commits. */
  tx?: unknown
}

/**
 * Rows of one table, as they are: no policy stands here. Producer, Consumer and PgqrsAdmin are the usual way.
 * A row that is not there is `null`; the foreign key of workers, messages and archive is their queue's id.
 */
export interface Table<Row, NewRow> {
  insert(row: NewRow, options?: TransactionOption): Promise<Row>
  get(id: IdInput): Promise<Row | null>
  /** By id, ascending. */
  list(page?: Page): Promise<Row[]>
  /** Whether there was such a row. */
  delete(id: IdInput, options?: TransactionOption): Promise<boolean>
  count(): Promise<number>
  countByFk(queueId: IdInput): Promise<number>
  filterByFk(queueId: IdInput, page?: Page): Promise<Row[]>
}

/** The limit and offset of a page, checked. @throws PgqrsError ARGUMENT_INVALID */
export function boundsOf(page: Page | undefined): { limit: number; offset: number } {
  checkOptions(page, ['limit', 'offset'], 'list')
  return {
    limit: wholeNumber(page?.limit ?? 100, 'limit', 1, 10_000),
    offset: wholeNumber(page?.offset ?? 0, 'offset', 0, Number.MAX_SAFE_INTEGER),
  }
}

/**
 * The session of an insert or delete, inside the caller's transaction where one is given. A misspelt `tx` would be
 * a write outside of it.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function sessionOf(database: Database, options: TransactionOption | undefined, of: string): Session {
  checkOptions(options, ['tx'], of)
  return database.in(options?.tx)
}

/** @throws PgqrsError ARGUMENT_INVALID when it is no object, or has a field that is not known */
export function checkRow(row: unknown, known: readonly string[], of: string): void {
  if (row === undefined)
    throw new PgqrsError('ARGUMENT_INVALID', `${of}: there is no row.`, {
      hint: `Give an object with some of ${known.join(', ')}.`,
    })
  checkOptions(row, known, of)
}

/** A text, or null where there is none. @throws PgqrsError ARGUMENT_INVALID */
export const textOrNull = (value: unknown, what: string, longest?: number): string | null =>
  value === undefined || value === null ? null : storableText(value, what, longest)

/** Of a name that people give: of a worker, of whoever archives a message. */
export const longestName = 200

/** Walks a list by id, page after page. */
export const fromTheStart: Id = '-1'

export const foreignKey = (queueId: IdInput): Id => idOf(queueId, 'queue id')
