// Takes messages from one queue under a lease, and settles them.
import { Coalescer } from '../database/coalescer.js'
import { Database, type Defaults, type Session } from '../database/database.js'
import { messageOfRow } from '../tables/messages.js'
import { backoffMs, errorText } from '../words/backoff.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { HeldMessage, Message } from '../words/message.js'
import { checkOptions, storableText, wholeNumber, yesOrNo } from '../words/options.js'
import { definitionOf, type QueueDefinition, type QueueReference, validate } from '../words/queue.js'
import { isList } from '../words/shown.js'
import { type Claimed, messagesOf } from './claimed.js'
import { Head } from './head.js'
import { HeldMessages, type Proof, type Settled } from './held.js'
import {
  type ArchiveOptions,
  archiveOptions,
  type ConsumerOptions,
  type DequeueOptions,
  type FailOptions,
  leaseMs,
  type ReleaseOptions,
  type SettleOptions,
} from './options.js'
import {
  type Archiving,
  type Extending,
  extendLeases,
  type Failed,
  type Failing,
  type Releasing,
  settleArchive,
  settleDelete,
  settleFail,
  settleRelease,
} from './settles.js'

const together = { maxItems: 1_000, maxWeight: Number.POSITIVE_INFINITY }
const largestBatch = 10_000

export class Consumer<Output = unknown, Input = Output> {
  readonly #database: Database
  readonly #queue: QueueDefinition<Input, Output>
  readonly #leaseMs: number
  readonly #batchSize: number
  readonly #workerId: Id | null
  readonly #held = new HeldMessages()
  readonly #head = new Head()
  readonly #archives: Coalescer<Archiving, boolean>
  readonly #deletes: Coalescer<HeldMessage, boolean>
  readonly #releases: Coalescer<Releasing, boolean>
  readonly #extensions: Coalescer<Extending, boolean>
  readonly #failures: Coalescer<Failing, Failed>

  /**
   * @param pool `admin.pool`, or a pool of your own
   * @param queue its name, its definition, or what `admin.getQueue` gave
   * @param config schema, lease and batch size; by default what the pool brings along
   * @throws PgqrsError ARGUMENT_INVALID
   */
  constructor(
    pool: unknown,
    queue: QueueReference<Input, Output>,
    config?: Partial<Defaults>,
    options: ConsumerOptions = {},
  ) {
    checkOptions(options, ['workerId', 'lease'], 'Consumer')
    const database = Database.of(pool, config)
    this.#database = database
    this.#queue = definitionOf(queue)
    const { defaultLockTimeSeconds, defaultMaxBatchSize } = { ...database.defaults, ...config }
    this.#leaseMs = leaseMs(options.lease ?? defaultLockTimeSeconds * 1_000)
    this.#batchSize = defaultMaxBatchSize
    this.#workerId = options.workerId === undefined ? null : idOf(options.workerId, 'workerId')
    this.#archives = new Coalescer((held) => settleArchive(database, held), together)
    this.#deletes = new Coalescer((held) => settleDelete(database, held), together)
    this.#releases = new Coalescer((held) => settleRelease(database, held), together)
    this.#extensions = new Coalescer((held) => extendLeases(database, held), together)
    this.#failures = new Coalescer((held) => settleFail(database, held), together)
  }

  get queueName(): string {
    return this.#queue.name
  }

  /** Whether the message of this id was dequeued here and not settled since; it may be lost all the same. */
  remembers(id: IdInput): boolean {
    return this.#held.proofOf(id) !== null
  }

  /**
   * The next message that is due, leased; null when there is none. Order: priority, then the time at which it
   * became due, then id.
   * @throws PgqrsError QUEUE_NOT_FOUND, ARGUMENT_INVALID, DATABASE_UNAVAILABLE
   */
  async dequeue(options: DequeueOptions = {}): Promise<Message<Output> | null> {
    return (await this.#claim(1, options))[0] ?? null
  }

  /**
   * The next messages that are due, leased, in order; an empty list when there is none.
   * @param count at most so many, up to 10,000. Default: the configured `defaultMaxBatchSize` (100)
   * @throws PgqrsError as `dequeue`
   */
  async dequeueBatch(
    count: number | undefined = undefined,
    options: DequeueOptions = {},
  ): Promise<Message<Output>[]> {
    return this.#claim(wholeNumber(count ?? this.#batchSize, 'count', 1, largestBatch), options)
  }

  /**
   * Settles a message: done, and kept in the archive. `false` when this attempt had lost it; nothing changed then.
   * @param by options, or who archives it
   */
  async archive(message: Settled, by: string | ArchiveOptions = {}): Promise<boolean> {
    const options = archiveOptions(by)
    const archivedBy = options.archivedBy ?? null
    return this.#settle(message, options, this.#archives, settleArchive, (held) => ({ ...held, archivedBy }))
  }

  /** The same for several, in one statement; the answers come in their order. */
  async archiveBatch(messages: readonly Settled[], by: string | ArchiveOptions = {}): Promise<boolean[]> {
    const options = archiveOptions(by)
    const archivedBy = options.archivedBy ?? null
    return this.#settleBatch(messages, options, settleArchive, (held) => ({ ...held, archivedBy }))
  }

  /** Settles a message: done, and not kept. `false` when this attempt had lost it. */
  async delete(message: Settled, options: SettleOptions = {}): Promise<boolean> {
    checkOptions(options, ['tx'], 'delete')
    return this.#settle(message, options, this.#deletes, settleDelete, (held) => held)
  }

  /** The same for several, in one statement; the answers come in their order. */
  async deleteBatch(messages: readonly Settled[], options: SettleOptions = {}): Promise<boolean[]> {
    checkOptions(options, ['tx'], 'deleteBatch')
    return this.#settleBatch(messages, options, settleDelete, (held) => held)
  }

  /** Gives a message back, ready now or after a delay; the attempt does not count. `false` when it was lost. */
  async release(message: Settled, options: ReleaseOptions = {}): Promise<boolean> {
    checkOptions(options, ['tx', 'delay'], 'release')
    const delayMs = durationMs(options.delay ?? 0, 'delay')
    this.#head.reset()
    return this.#settle(message, options, this.#releases, settleRelease, (held) => ({ ...held, delayMs }))
  }

  /** The same for several, in one statement; the answers come in their order. */
  async releaseBatch(messages: readonly Settled[], options: ReleaseOptions = {}): Promise<boolean[]> {
    checkOptions(options, ['tx', 'delay'], 'releaseBatch')
    const delayMs = durationMs(options.delay ?? 0, 'delay')
    this.#head.reset()
    return this.#settleBatch(messages, options, settleRelease, (held) => ({ ...held, delayMs }))
  }

  /**
   * Says that the attempt failed. The message gets another attempt after a delay, or, when this was the last,
   * becomes a dead letter with this error.
   * @param error an Error, of which the stack is kept, or a text; 8,000 characters at most
   * @returns `'retried'`, `'dead'`, or `false` when this attempt had lost it
   */
  async fail(message: Settled, error: unknown, options: FailOptions = {}): Promise<Failed> {
    checkOptions(options, ['tx', 'delay', 'dead'], 'fail')
    const text = errorText(error)
    const dead = yesOrNo(options.dead, 'dead') ?? false
    const fixed = options.delay === undefined ? undefined : durationMs(options.delay, 'delay')
    return this.#settle(message, options, this.#failures, settleFail, (held) => ({
      ...held,
      error: text,
      delayMs: dead ? null : (fixed ?? backoffMs(held.attempt)),
    }))
  }

  /** Lengthens the lease by so long. `false` when this attempt had lost the message. */
  async extendVisibility(message: Settled, by: Duration, options: SettleOptions = {}): Promise<boolean> {
    checkOptions(options, ['tx'], 'extendVisibility')
    const byMs = durationMs(by, 'extendVisibility')
    const held = this.#held.proofOf(message)
    if (held === null) return false
    const { id, attempt } = held
    if (options.tx === undefined && held.dequeued === undefined)
      return this.#extensions.add({ id, attempt, byMs })
    const extend = (session: Session, sure: readonly Proof[]) =>
      extendLeases(
        session,
        sure.map((one) => ({ id: one.id, attempt: one.attempt, byMs })),
      )
    return (await this.#ofTheSure(options.tx, [held], extend))[0] ?? false
  }

  async #claim(count: number, options: DequeueOptions): Promise<Message<Output>[]> {
    checkOptions(options, ['lease', 'type', 'tx'], 'dequeue')
    const session = this.#database.in(options.tx)
    const lease = options.lease === undefined ? this.#leaseMs : leaseMs(options.lease)
    const messages: Message<Output>[] = []
    // Payloads that the schema refuses become dead letters, and others take their place.
    for (;;) {
      const claimed = await this.#claimRows(session, count - messages.length, lease, options)
      const good = await this.#accepted(session, claimed)
      messages.push(...good)
      if (good.length === claimed.length || messages.length >= count) return messages
    }
  }

  async #claimRows(session: Session, count: number, lease: number, { type, tx }: DequeueOptions) {
    const values = [this.#queue.name, count, lease, this.#workerId]
    const messages =
      type === undefined
        ? await this.#claimFrom(session, values)
        : (await session.run('claimType', [...values, storableText(type, 'type')])).map((row) =>
            messageOfRow<Output>(row),
          )
    for (const { id, attempt } of messages) this.#held.add({ id, attempt })
    if (tx === undefined || messages.length === 0) return messages
    // Until the caller commits, nothing is certain: see Proof.
    const moments = await session.run('lockDequeued', [messages.map(({ id }) => id)])
    for (const { id, attempt } of messages) {
      const dequeued = moments.find((row) => row.id === id)?.dequeued
      if (dequeued !== undefined) this.#held.add({ id, attempt, dequeued })
    }
    return messages
  }

  async #claimFrom(session: Session, values: unknown[]): Promise<Message<Output>[]> {
    const start = this.#head.start()
    const begun = performance.now()
    const claimed = (await session.run('claim', [
      ...values,
      start.priorities,
      start.marks,
      null,
    ])) as Claimed[]
    this.#head.found(start, claimed, Number(values[1]), performance.now() - begun)
    return claimed.flatMap((row) => messagesOf<Output>(row, this.#workerId))
  }

  async #accepted(session: Session, messages: Message<Output>[]): Promise<Message<Output>[]> {
    const { schema } = this.#queue
    if (schema === undefined) return messages
    const good: Message<Output>[] = []
    const refused: Failing[] = []
    try {
      for (const message of messages) {
        const result = await validate(schema, message.payload)
        if ('value' in result) good.push({ ...message, payload: result.value })
        else refused.push(refusal(message, result.problem))
      }
    } catch (error) {
      // The schema itself failed; nothing is known of the payloads.
      await settleRelease(
        session,
        messages.map((message) => ({ ...message, delayMs: 0 })),
      )
      throw error
    }
    if (refused.length > 0) await settleFail(session, refused)
    for (const message of refused) this.#held.forget(message)
    return good
  }

  async #settle<Item extends HeldMessage, Answer>(
    message: Settled,
    { tx }: SettleOptions,
    coalescer: Coalescer<Item, Answer>,
    statement: (session: Session, held: readonly Item[]) => Promise<Answer[]>,
    itemOf: (held: HeldMessage) => Item,
  ): Promise<Answer | false> {
    const held = this.#held.proofOf(message)
    if (held === null) return false
    const item = itemOf({ id: held.id, attempt: held.attempt })
    const alone = tx !== undefined || held.dequeued !== undefined
    const answer = alone
      ? (await this.#ofTheSure<Answer | false>(tx, [held], (session) => statement(session, [item])))[0]
      : await coalescer.add(item)
    if (tx === undefined) this.#held.forget(held)
    return answer ?? false
  }

  async #settleBatch<Item extends HeldMessage>(
    messages: readonly Settled[],
    { tx }: SettleOptions,
    statement: (session: Session, held: readonly Item[]) => Promise<boolean[]>,
    itemOf: (held: HeldMessage) => Item,
  ): Promise<boolean[]> {
    if (!isList(messages))
      throw new PgqrsError('ARGUMENT_INVALID', 'The messages are no array.', {
        hint: 'Give a list, as dequeueBatch gave it.',
      })
    const proofs = messages.map((message) => this.#held.proofOf(message))
    const held = proofs.filter((proof) => proof !== null)
    if (held.length === 0) return proofs.map(() => false)
    const settle = (session: Session, sure: readonly Proof[]) =>
      statement(
        session,
        sure.map(({ id, attempt }) => itemOf({ id, attempt })),
      )
    const answers = await this.#ofTheSure(tx, held, settle)
    if (tx === undefined) for (const proof of held) this.#held.forget(proof)
    let next = 0
    return proofs.map((proof) => proof !== null && (answers[next++] ?? false))
  }

  /**
   * Runs a settle for the proofs that stand. A proof from a transaction of the caller's stands while the message was
   * not dequeued by another since; that is looked at, under lock, in the transaction of the settle.
   */
  async #ofTheSure<Answer>(
    tx: unknown,
    proofs: readonly Proof[],
    settle: (session: Session, sure: readonly Proof[]) => Promise<Answer[]>,
  ): Promise<(Answer | false)[]> {
    const unsure = proofs.filter(({ dequeued }) => dequeued !== undefined)
    if (unsure.length === 0) return settle(this.#database.in(tx), proofs)
    const looked = async (session: Session) => {
      const rows = await session.run('lockDequeued', [unsure.map(({ id }) => id)])
      const moments = new Map(rows.map(({ id, dequeued }) => [id, dequeued]))
      const stands = ({ id, dequeued }: Proof) => dequeued === undefined || moments.get(id) === dequeued
      const sure = proofs.filter(stands)
      const answers = sure.length === 0 ? [] : await settle(session, sure)
      let next = 0
      return proofs.map((proof) => (stands(proof) ? (answers[next++] ?? false) : false))
    }
    return tx === undefined ? this.#database.transaction(looked) : looked(this.#database.in(tx))
  }
}

const refusal = ({ id, attempt }: HeldMessage, problem: string): Failing => ({
  id,
  attempt,
  error: `The payload is refused by the schema: ${problem}.`,
  delayMs: null,
})
