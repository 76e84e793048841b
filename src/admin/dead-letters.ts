// Dead letters: messages whose attempts are used up, or that were refused for good. They stand in the archive
// with their last error until somebody puts them back or purges them.
import type { Database } from '../database/database.js'
import { archivedOfRow } from '../tables/archive.js'
import { boundsOf, type Page } from '../tables/table.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { ArchivedMessage } from '../words/message.js'
import { checkQueueName } from '../words/names.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { isList } from '../words/shown.js'

export interface RedriveOptions {
  /** Only these; others of the ids, that are no dead letters of the queue, are passed over. Default: any. */
  ids?: readonly IdInput[]
  /** At most so many, the oldest first. Default 1,000, at most 10,000. */
  limit?: number
}

export class DeadLetters {
  readonly #database: Database
  readonly #queueId: (name: string) => Promise<Id>

  constructor(database: Database, queueId: (name: string) => Promise<Id>) {
    this.#database = database
    this.#queueId = queueId
  }

  /** The most recent first. @throws PgqrsError QUEUE_NOT_FOUND */
  async list(queue: string, page?: Page): Promise<ArchivedMessage[]> {
    const { limit, offset } = boundsOf(page)
    const rows = await this.#database.run('listDead', [await this.#complete(queue), limit, offset])
    return rows.map((row) => archivedOfRow(row))
  }

  /** @throws PgqrsError QUEUE_NOT_FOUND */
  async count(queue: string): Promise<number> {
    const [row] = await this.#database.run('countDead', [await this.#complete(queue)])
    return Number(row?.count)
  }

  /**
   * Puts dead letters back into their queue, ready now, with all their attempts before them.
   * @returns the ids of those that were put back
   * @throws PgqrsError QUEUE_NOT_FOUND, ARGUMENT_INVALID
   */
  async redrive(queue: string, options: RedriveOptions = {}): Promise<Id[]> {
    checkOptions(options, ['ids', 'limit'], 'redrive')
    const limit = wholeNumber(options.limit ?? 1_000, 'limit', 1, 10_000)
    if (options.ids !== undefined && !isList(options.ids))
      throw new PgqrsError('ARGUMENT_INVALID', 'redrive: the ids are no array.', {
        hint: 'Give a list of ids, as [letter.id], or leave it out for any.',
      })
    const ids = options.ids === undefined ? null : options.ids.map((id: IdInput) => idOf(id))
    await this.#complete(queue)
    const rows = await this.#database.run('redrive', [checkQueueName(queue), ids, limit])
    return rows.map(({ id }) => id)
  }

  /** A message whose last attempt was lost stays where it was until a claim comes by; here it is looked for. */
  async #complete(queue: string): Promise<Id> {
    const id = await this.#queueId(queue)
    await this.#database.run('burySpent', [id]).catch((error) => {
      // Whoever may only look sees those that were found already.
      if (!PgqrsError.is(error, 'PERMISSION_DENIED')) throw error
    })
    return id
  }
}
