// The handle of one queue: enqueue, read, settle and look into its archive, as in pgqrs 0.1. It is also what
// `admin.getQueue` gives, so it has the queue's own fields where they are known.
import { Consumer } from '../consumer/consumer.js'
import type { Settled } from '../consumer/held.js'
import type { Failed } from '../consumer/settles.js'
import { Database } from '../database/database.js'
import type { EnqueueOptions } from '../producer/options.js'
import { Producer, type ProducerConfig } from '../producer/producer.js'
import { archivedOfRow, PgqrsArchiveTable } from '../tables/archive.js'
import { PgqrsMessages } from '../tables/messages.js'
import { boundsOf, type Page } from '../tables/table.js'
import type { Duration } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { ArchivedMessage, Message, QueueInfo } from '../words/message.js'
import { definitionOf, type QueueReference } from '../words/queue.js'

/** A queue's handle with the fields that the database has of it. */
export type KnownQueue<Input = unknown, Output = Input> = Queue<Input, Output> & QueueInfo

export class Queue<Input = unknown, Output = Input> {
  readonly name: string
  readonly #database: Database
  readonly #producer: Producer<Input, Output>
  readonly #consumer: Consumer<Output, Input>
  readonly #messages: PgqrsMessages
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
    this.#messages = new PgqrsMessages(this.#database)
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
   * @param lease by default the configured `defaultLockTimeSeconds`
   */
  read(count?: number, lease?: Duration): Promise<Message<Output>[]> {
    return this.#consumer.dequeueBatch(count, lease === undefined ? {} : { lease })
  }

  /**
   * Archives a message that was read from this handle (or given as it was delivered); or, by its id, any message
   * of the queue that nobody holds. `false` when it is not there, or held by another attempt.
   */
  async archive(message: Settled, archivedBy?: string): Promise<boolean> {
    const by = archivedBy === undefined ? {} : { archivedBy }
    if (await this.#consumer.archive(message, by)) return true
    return this.#unheld(message, (id) => this.#messages.archive(id, by))
  }

  /** Deletes, by the same rules; the answers come in the order of the messages. */
  async deleteBatch(messages: readonly Settled[]): Promise<boolean[]> {
    const answers = await this.#consumer.deleteBatch(messages)
    for (const [index, message] of messages.entries())
      answers[index] ||= await this.#unheld(message, (id) => this.#messages.delete(id))
    return answers
  }

  /** As `Consumer.extendVisibility` for what was read here; as `Producer.extendVisibility` for another id. */
  async extendVisibility(message: Settled, by: Duration): Promise<boolean> {
    if (await this.#consumer.extendVisibility(message, by)) return true
    return typeof message === 'object' ? false : this.#producer.extendVisibility(message, by)
  }

  /** As `Consumer.fail`. */
  failMessage(
    message: Settled,
    error: unknown,
    options?: { delay?: Duration; dead?: boolean },
  ): Promise<Failed> {
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

  async #unheld(message: Settled, act: (id: Id) => Promise<boolean>): Promise<boolean> {
    if (typeof message === 'object') return false
    const id = idOf(message)
    const found = await this.#messages.get(id)
    if (found === null || found.queueId !== (await this.#id())) return false
    try {
      return await act(id)
    } catch (error) {
      if (PgqrsError.is(error, 'MESSAGE_HELD')) return false
      throw error
    }
  }

  async #id(): Promise<Id> {
    const [row] = await this.#database.run('getQueueByName', [this.name])
    if (row === undefined)
      throw new PgqrsError('QUEUE_NOT_FOUND', `Queue '${this.name}' does not exist.`, {
        hint: 'Create it first: pgqrs queue create NAME, or admin.createQueue(name).',
      })
    return row.id
  }
}
