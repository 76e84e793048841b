// Adds messages to one queue: validation, rate limit, and one statement for calls made at the same moment.
import { type ConfigValues, type RateLimit, readField } from '../config/fields.js'
import { extendLeases } from '../consumer/settles.js'
import { Coalescer } from '../database/coalescer.js'
import { Database, type Defaults, type Session } from '../database/database.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { HeldMessage, Message } from '../words/message.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { encodePayload, type ValidationRules } from '../words/payload.js'
import { definitionOf, type QueueDefinition, type QueueReference, validate } from '../words/queue.js'
import { isList, propertyOf } from '../words/shown.js'
import { type EnqueueOptions, encodeOptions } from './options.js'
import { TokenBucket } from './rate-limit.js'

export interface ProducerOptions {
  /** Rules for payloads, each in place of the configuration's. */
  validation?: ValidationRules
  /** In place of the configuration's; null for none. */
  rateLimit?: RateLimit | null
}

export type ProducerConfig = Partial<Defaults> & Partial<Pick<ConfigValues, 'validation' | 'rateLimit'>>

interface Encoded {
  payload: string
  options: string
}

// One statement carries at most this: far below what jsonb holds (256 MB), and small enough to share.
const shared = { maxItems: 1_000, maxWeight: 4_000_000 }
const batchLimit = { messages: 100_000, bytes: 200_000_000 }

export class Producer<Input = unknown, Output = Input> {
  readonly #database: Database
  readonly #queue: QueueDefinition<Input, Output>
  readonly #rules: ValidationRules
  readonly #bucket: TokenBucket | null
  readonly #enqueues: Coalescer<Encoded, Stored>

  /**
   * @param pool `admin.pool`, or a pool of your own
   * @param queue its name, its definition, or what `admin.getQueue` gave
   * @param config schema, validation and rate limit; by default what the pool brings along
   * @throws PgqrsError ARGUMENT_INVALID
   */
  constructor(
    pool: unknown,
    queue: QueueReference<Input, Output>,
    config?: ProducerConfig,
    options: ProducerOptions = {},
  ) {
    checkOptions(options, ['validation', 'rateLimit'], 'Producer')
    this.#database = Database.of(pool, config)
    this.#queue = definitionOf(queue)
    const defaults: Partial<ConfigValues> = { ...this.#database.defaults, ...config }
    const source = "the producer's options"
    const rules = readField(
      'validation',
      options.validation ?? {},
      source,
      'ARGUMENT_INVALID',
    ) as ValidationRules | null
    this.#rules = { ...defaults.validation, ...rules }
    const given = options.rateLimit === undefined ? (defaults.rateLimit ?? null) : options.rateLimit
    const limit = readField('rateLimit', given, source, 'ARGUMENT_INVALID') as RateLimit | null
    this.#bucket = limit === null ? null : new TokenBucket(limit)
    this.#enqueues = new Coalescer((messages) => this.#insert(this.#database, messages), shared)
  }

  get queueName(): string {
    return this.#queue.name
  }

  /**
   * Adds a message. Resolves after the commit, with the message as it was stored; with `tx`, after the statement,
   * and your commit decides.
   * @throws PgqrsError PAYLOAD_INVALID, ARGUMENT_INVALID, RATE_LIMITED, QUEUE_NOT_FOUND, DATABASE_UNAVAILABLE
   */
  async enqueue(payload: Input, options: EnqueueOptions = {}): Promise<Message<Input>> {
    const message = { options: encodeOptions(options), payload: await this.#encode(payload) }
    this.#bucket?.take(1)
    const stored =
      options.tx === undefined
        ? await this.#enqueues.add(message, message.payload.length + message.options.length)
        : (await this.#insert(this.#database.in(options.tx), [message]))[0]
    return messageOf(stored as Stored, message)
  }

  /**
   * Adds messages in the order given, all or none, in one statement. The options hold for each of them.
   * @throws PgqrsError as `enqueue`; PAYLOAD_INVALID tells the first bad payload by `details.index`
   */
  async batchEnqueue(payloads: readonly Input[], options: EnqueueOptions = {}): Promise<Message<Input>[]> {
    if (!isList(payloads))
      throw new PgqrsError('ARGUMENT_INVALID', 'batchEnqueue: the payloads are no array.', {
        hint: 'Give a list of payloads; for one alone there is enqueue.',
      })
    if (payloads.length > batchLimit.messages)
      throw new PgqrsError('ARGUMENT_INVALID', `A batch has at most ${batchLimit.messages} messages.`, {
        hint: 'Send several batches, with the same tx if they belong together.',
      })
    const encodedOptions = encodeOptions(options)
    const messages: Encoded[] = []
    let bytes = 0
    for (let index = 0; index < payloads.length; index++) {
      const encoded = this.#encode(payloads[index] as Input, index)
      const payload = typeof encoded === 'string' ? encoded : await encoded
      bytes += payload.length + encodedOptions.length
      messages.push({ payload, options: encodedOptions })
    }
    if (bytes > batchLimit.bytes)
      throw new PgqrsError('ARGUMENT_INVALID', `The batch has over ${batchLimit.bytes} bytes of JSON.`, {
        hint: 'Send several batches, with the same tx if they belong together.',
      })
    if (messages.length === 0) return []
    this.#bucket?.take(messages.length)
    const stored = await this.#insert(this.#database.in(options.tx), messages)
    return stored.map((one, i) => messageOf(one, messages[i] as Encoded))
  }

  /** `enqueue` with a delay. */
  async enqueueDelayed(
    payload: Input,
    delay: Duration,
    options: Omit<EnqueueOptions, 'delay' | 'at'> = {},
  ): Promise<Message<Input>> {
    checkOptions(options, ['priority', 'headers', 'maxAttempts', 'tx'], 'enqueueDelayed')
    durationMs(delay, 'delay')
    return this.enqueue(payload, { ...options, delay })
  }

  /**
   * Makes a message wait longer: lengthens the lease of whoever holds it, or puts off the time at which it is
   * due when nobody does. Given a delivered message, it lengthens the lease of that attempt alone. Gives `false`
   * when there is no such message in the queue, or that attempt has lost it.
   * @throws PgqrsError ARGUMENT_INVALID
   */
  async extendVisibility(
    message: HeldMessage | Pick<Message, 'id'> | IdInput,
    by: Duration,
    options: { tx?: unknown } = {},
  ): Promise<boolean> {
    checkOptions(options, ['tx'], 'extendVisibility')
    const session = this.#database.in(options.tx)
    const byMs = durationMs(by, 'extendVisibility')
    const known = idOf(typeof message === 'object' ? (propertyOf(message, 'id') as Id) : message)
    const attempt = (propertyOf(message, 'attempt') ?? 0) as number
    if (attempt !== 0) wholeNumber(attempt, 'attempt', 0, 2_147_483_647)
    if (attempt > 0) return (await extendLeases(session, [{ id: known, attempt, byMs }]))[0] === true
    return (await session.run('postpone', [this.#queue.name, known, byMs])).length > 0
  }

  /** At once where no schema has to be asked. */
  #encode(payload: Input, index?: number): string | Promise<string> {
    const at = index === undefined ? 'payload' : `payloads[${index}]`
    try {
      const text = encodePayload(payload, this.#rules, at)
      return this.#queue.schema === undefined ? text : this.#validated(payload, text, at, index)
    } catch (error) {
      throw ofBatch(error, index)
    }
  }

  async #validated(payload: Input, text: string, at: string, index: number | undefined): Promise<string> {
    const { schema, name } = this.#queue
    try {
      const result = await validate(schema as NonNullable<typeof schema>, payload)
      if ('problem' in result)
        throw new PgqrsError('PAYLOAD_INVALID', `${at} is refused by the schema: ${result.problem}.`, {
          hint: `Enqueue what the schema of the queue ${name} allows.`,
          details: { path: at },
        })
      return text
    } catch (error) {
      throw ofBatch(error, index)
    }
  }

  async #insert(session: Session, messages: readonly Encoded[]): Promise<Stored[]> {
    const plain = messages.every(({ options }) => options === '')
    const texts = plain
      ? messages.map(({ payload }) => payload)
      : messages.map(({ payload, options }) => `{"p":${payload}${options}}`)
    const { notifier } = this.#database
    const own = session === this.#database
    const announces = own && notifier.turn()
    const values = [this.#queue.name, `[${texts.join(',')}]`, announces]
    const [row] = await session.run(plain ? 'enqueuePlain' : 'enqueueBatch', values)
    if (!own) notifier.echo(this.#queue.name)
    else if (!announces) notifier.say(this.#queue.name)
    const ids: Id[] = row?.ids ?? []
    return ids.map((id, i) => ({
      id,
      queueId: row?.queue_id,
      enqueuedAt: row?.enqueued_at,
      dueAt: plain || row?.due_at === null ? row?.enqueued_at : row?.due_at[i],
      maxAttempts: plain ? row?.max_attempts : row?.max_attempts[i],
    }))
  }
}

/** Says of a payload in a batch that nothing was enqueued. */
function ofBatch(error: unknown, index: number | undefined): unknown {
  if (index === undefined || !PgqrsError.is(error, 'PAYLOAD_INVALID')) return error
  return new PgqrsError('PAYLOAD_INVALID', `${error.message} Nothing of the batch was enqueued.`, {
    cause: error,
    details: { ...error.details, index },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })
}

/** What the database adds to a message. */
type Stored = Pick<Message, 'id' | 'queueId' | 'enqueuedAt' | 'dueAt' | 'maxAttempts'>

/** The message as the database has it: payload and headers are what their JSON says, not what was given. */
function messageOf<T>(stored: Stored, { payload, options }: Encoded): Message<T> {
  const given = options === '' ? null : JSON.parse(`{${options.slice(1)}}`)
  return {
    id: stored.id,
    queueId: stored.queueId,
    payload: JSON.parse(payload),
    headers: given?.h ?? null,
    priority: given?.q ?? 0,
    attempt: 0,
    givenBack: 0,
    maxAttempts: stored.maxAttempts,
    enqueuedAt: stored.enqueuedAt,
    dueAt: stored.dueAt,
    leasedUntil: null,
    leasedBy: null,
    dequeuedAt: null,
    lastError: null,
  }
}
