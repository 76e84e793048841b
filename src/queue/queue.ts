// The handle of one queue: enqueue, read, settle and look into its archive, as in pgqrs 0.1. It is also what
// `admin.getQueue` gives, so it has the queue's own fields where they are known.
import { Consumer } from '../consumer/consumer.js'
import type { Settled } from '../consumer/held.js'
import type { ArchiveOptions, DequeueOptions, FailOptions, SettleOptions } from '../consumer/options.js'
import type { Failed } from '../consumer/settles.js'
import { Database, type Session } from '../database/database.js'
import type { EnqueueOptions } from '../producer/options.js'
import { Producer, type ProducerConfig } from '../producer/producer.js'
import { archivedOfRow, PgqrsArchiveTable } from '../tables/archive.js'
import { boundsOf, type Page } from '../tables/table.js'
import type { Duration } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { ArchivedMessage, Message, QueueInfo } from '../words/message.js'
import { definitionOf, type QueueReference } from '../words/queue.js'
import { isList } from '../words/shown.js'

/** A queue's handle with the fields that the database has of it. */
export type KnownQueue<Input = unknown, Output = Input> = Queue<Input, Output> & QueueInfo

export class Queue<Input = unknown, Output = Input> {
  readonly name: string
  readonly #database: Database
  readonly #producer: Producer<Input, Output>
  readonly #consumer: Consumer<Output, Input>
  readonly #archive: PgqrsArchiveTable

  /**
   * @param pool `admin.pool`, or a pool of your own
   * @param queue its name, its definition, or what the database said of it
   * @param config by default what the pool brings along
   */
  constructor(pool: unknown, queue: QueueReference<Input, Output>, config?: ProducerConfig) {
    this.#database = Database.of(pool, config)
    this.#producer = new Producer(pool, queue, config)
    this.#consumer = new Consumer(pool, queue, config)
    this.#archive = new PgqrsArchiveTable(this.#database)
    this.name = definitionOf(queue).name
  }

  /** A handle that has the fields of the queue's row. */
  static known(pool: unknown, info: QueueInfo, config?: ProducerConfig): KnownQueue {
    return Object.assign(new Queue(pool, info, config), info)
  }

  /** As `Producer.enqueue`. */
  enqueue(payload: Input, options?: EnqueueOptions): Promise<Message<Input>> {
    return this.#producer.enqueue(payload, options)
  }

  /** As `Producer.batchEnqueue`. */
  batchEnqueue(payloads: readonly Input[], options?: EnqueueOptions): Promise<Message<Input>[]> {
    return this.#producer.batchEnqueue(payloads, options)
  }

  /** As `Producer.enqueueDelayed`. */
  enqueueDelayed(payload: Input, delay: Duration, options?: Omit<EnqueueOptions, 'delay' | 'at'>) {
    return this.#producer.enqueueDelayed(payload, delay, options)
  }

  /**
   * The next messages that are due, leased.
   * @param count by default the configured `defaultMaxBatchSize`
   * @param lease by default the configured `defaultLockTimeSeconds`; or all options of a dequeue
   */
  read(count?: number, lease: Duration | DequeueOptions = {}): Promise<Message<Output>[]> {
    return this.#consumer.dequeueBatch(count, typeof lease === 'object' ? lease : { lease })
  }

  /**
   * Archives a message that was read from this handle (or given as it was delivered); or, by its id, any message
   * of the queue that nobody holds. `false` when it is not there, or held by another attempt.
   * @param by options, or who archives it
   */
  async archive(message: Settled, by: string | ArchiveOptions = {}): Promise<boolean> {
    const readHere = this.#wasReadHere(message)
    const settled = await this.#consumer.archive(message, by)
    if (settled || readHere) return settled
    const { tx, archivedBy = null } = typeof by === 'string' ? { archivedBy: by } : (by ?? {})
    return this.#remove(tx, message as IdInput, [true, archivedBy])
  }

  /** Deletes, by the same rules; the answers come in the order of the messages. */
  async deleteBatch(messages: readonly Settled[], options: SettleOptions = {}): Promise<boolean[]> {
    const readHere = isList(messages) ? messages.map((message) => this.#wasReadHere(message)) : []
    const answers = await this.#consumer.deleteBatch(messages, options)
    for (const [index, message] of messages.entries())
      if (!readHere[index]) answers[index] = await this.#remove(options.tx, message as IdInput, [false, null])
    return answers
  }

  /**
   * As `Consumer.extendVisibility` for what was read here. By its id, a message that nobody holds is put off;
   * `false` for one that another holds.
   */
  async extendVisibility(message: Settled, by: Duration, options: SettleOptions = {}): Promise<boolean> {
    const readHere = this.#wasReadHere(message)
    const extended = await this.#consumer.extendVisibility(message, by, options)
    if (extended || readHere) return extended
    const id = idOf(message as IdInput)
    const [row] = await this.#database.in(options.tx).run('getMessage', [id])
    return row?.leased_until === null && this.#producer.extendVisibility(id, by, options)
  }

  /** As `Consumer.fail`. */
  failMessage(message: Settled, error: unknown, options?: FailOptions): Promise<Failed> {
    return this.#consumer.fail(message, error, options)
  }

  /** Archived messages, dead letters among them, the most recent first. */
  async archiveList(limit?: number, offset?: number): Promise<ArchivedMessage<Output>[]> {
    const page: Page = {
      ...(limit === undefined ? {} : { limit }),
      ...(offset === undefined ? {} : { offset }),
    }
    const bounds = boundsOf(page)
    const rows = await this.#database.run('listArchivedOfQueue', [
      await this.#id(),
      bounds.limit,
      bounds.offset,
    ])
    return rows.map((row) => archivedOfRow<Output>(row))
  }

  /** An archived message of this queue; null when there is none with this id. */
  async getArchivedMessageById(id: IdInput): Promise<ArchivedMessage<Output> | null> {
    const archived = await this.#archive.get(id)
    return archived !== null && archived.queueId === (await this.#id())
      ? (archived as ArchivedMessage<Output>)
      : null
  }

  /** Then this handle's attempt decides, even where it has lost the message. */
  #wasReadHere(message: Settled): boolean {
    return (typeof message === 'object' && message !== null) || this.#consumer.remembers(message as IdInput)
  }

  /** As an operator does: a message of this queue that nobody holds. */
  async #remove(tx: unknown, id: IdInput, how: [archive: boolean, by: string | null]): Promise<boolean> {
    const session = this.#database.in(tx)
    const values = [await this.#id(session), idOf(id), ...how, false]
    const [row] = await session.run('removeMessage', values)
    return row?.result === 'done'
  }

  async #id(session: Session = this.#database): Promise<Id> {
    const [row] = await session.run('getQueueByName', [this.name])
    if (row === undefined)
      throw new PgqrsError('QUEUE_NOT_FOUND', `Queue '${this.name}' does not exist.`, {
        hint: 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).',
      })
    return row.id
  }
}
