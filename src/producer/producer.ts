// Adds messages to one queue: validation, rate limit, and one statement for calls made at the same moment.
import { setImmediate } from 'node:timers'
import { type ConfigValues, type RateLimit, readField } from '../config/fields.js'
import { extendLeases } from '../consumer/settles.js'
import { Coalescer } from '../database/coalescer.js'
import { Database, type Defaults, type Session } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { HeldMessage, Message, MessageHeaders } from '../words/message.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { encodePayload, encodePlainPayloads, type ValidationRules } from '../words/payload.js'
import { definitionOf, type QueueDefinition, type QueueReference, validate } from '../words/queue.js'
import { isList, propertyOf } from '../words/shown.js'
import { type EnqueueOptions, encodeOptions, noOptions } from './options.js'
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
/** So many payloads of a batch are looked at together. */
const lookedAt = 1_000
/** About what the server needs for a message of a batch. */
const msEach = 0.004
/** Shorter JSON is read back when the answer is there. */
const worthATurn = 1_000

export class Producer<Input = unknown, Output = Input> {
  readonly #database: Database
  readonly #queue: QueueDefinition<Input, Output>
  readonly #rules: ValidationRules
  readonly #bucket: TokenBucket | null
  readonly #enqueues: Coalescer<Encoded, Message<Input>>

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
  enqueue(payload: Input, options: EnqueueOptions = noOptions): Promise<Message<Input>> {
    // No async function: each turn that it waits for nothing would be waited for by all whose calls share the statement.
    try {
      const encodedOptions = encodeOptions(options)
      const encoded = this.#encode(payload)
      return typeof encoded === 'string'
        ? this.#add({ payload: encoded, options: encodedOptions }, options.tx)
        : encoded.then((text) => this.#add({ payload: text, options: encodedOptions }, options.tx))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #add(message: Encoded, tx: unknown): Promise<Message<Input>> {
    this.#bucket?.take(1)
    if (tx === undefined) return this.#enqueues.add(message, message.payload.length + message.options.length)
    return this.#insert(this.#database.in(tx), [message]).then(([added]) => added as Message<Input>)
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
    const plain = encodedOptions === ''
    const parts: string[] = []
    let bytes = 0
    const add = (part: string) => {
      bytes += part.length
      parts.push(part)
    }
    let text: string | undefined
    for (let from = 0; from < payloads.length; from += lookedAt) {
      const to = Math.min(from + lookedAt, payloads.length)
      const together =
        plain && this.#queue.schema === undefined
          ? encodePlainPayloads(payloads, this.#rules, from, to)
          : null
      if (together !== null && payloads.length <= lookedAt) text = together
      else if (together !== null) add(together.slice(1, -1))
      else
        for (let index = from; index < to; index++) {
          const encoded = this.#encode(payloads[index] as Input, index)
          const payload = typeof encoded === 'string' ? encoded : await encoded
          add(plain ? payload : wired({ payload, options: encodedOptions }))
        }
    }
    if (bytes > batchLimit.bytes)
      throw new PgqrsError('ARGUMENT_INVALID', `The batch has over ${batchLimit.bytes} bytes of JSON.`, {
        hint: 'Send several batches, with the same tx if they belong together.',
      })
    if (payloads.length === 0) return []
    this.#bucket?.take(payloads.length)
    text ??= `[${parts.join(',')}]`
    return this.#send(this.#database.in(options.tx), text, payloads.length, plain)
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

  #insert(session: Session, messages: readonly Encoded[]): Promise<Message<Input>[]> {
    const plain = messages.every(({ options }) => options === '')
    const texts = messages.map(plain ? ({ payload }) => payload : wired)
    return this.#send(session, `[${texts.join(',')}]`, messages.length, plain)
  }

  /** @param plain whether `text` is an array of payloads, or one of what pgqrs_enqueue_batch takes */
  async #send(session: Session, text: string, count: number, plain: boolean): Promise<Message<Input>[]> {
    const { notifier } = this.#database
    const queue = this.queueName
    const own = session === this.#database
    const announces = own && notifier.turn(queue, count * msEach)
    const running = session.run(plain ? 'enqueuePlain' : 'enqueueBatch', [queue, text, announces])
    try {
      const [[row], given] = await Promise.all([running, readMeanwhile(text)])
      if (!own) notifier.echo(queue)
      else if (announces) notifier.announced(queue)
      else notifier.say(queue)
      return messagesOf(row, given, plain)
    } catch (error) {
      // What else it was to announce.
      if (announces) notifier.sayNow(queue)
      throw error
    }
  }
}

/** A message as pgqrs_enqueue_batch takes it. */
const wired = ({ payload, options }: Encoded) => `{"p":${payload}${options}}`

/** The same, read back. */
interface Wired {
  p: unknown
  h?: MessageHeaders
  q?: number
}

/**
 * What was sent, read back: a message is given to the caller as the database has it, and that is what its JSON says, not
 * what was given. It is read while the server works, once the statement has left.
 */
function readMeanwhile(text: string): unknown[] | Promise<unknown[]> {
  if (text.length < worthATurn) return JSON.parse(text)
  return new Promise((resolve) => setImmediate(() => resolve(JSON.parse(text))))
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

/** @param given what was sent: payloads, or what pgqrs_enqueue_batch takes */
function messagesOf<T>(row: Row | undefined, given: readonly unknown[], plain: boolean): Message<T>[] {
  const ids: Id[] = row?.ids ?? []
  return ids.map((id, i) => {
    const sent = plain ? null : (given[i] as Wired)
    return {
      id,
      queueId: row?.queue_id,
      payload: (sent === null ? given[i] : sent.p) as T,
      headers: sent?.h ?? null,
      priority: sent?.q ?? 0,
      attempt: 0,
      givenBack: 0,
      maxAttempts: plain ? row?.max_attempts : row?.max_attempts[i],
      enqueuedAt: row?.enqueued_at,
      dueAt: plain || row?.due_at === null ? row?.enqueued_at : row?.due_at[i],
      leasedUntil: null,
      leasedBy: null,
      dequeuedAt: null,
      lastError: null,
    }
  })
}
