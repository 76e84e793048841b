// Runs handlers in this process until nothing is ready any more: a real worker, for as long as there is work.
import { setTimeout as pause } from 'node:timers/promises'
import type {
  BatchHandler,
  BatchOptions,
  Handler,
  Message,
  Pgqrs,
  QueueReference,
  Served,
  ServeOptions,
  Worker,
} from '../index.js'
import { workLeft } from '../tables/clock.js'
import { PgqrsWorkers } from '../tables/index.js'
import { PgqrsError } from '../words/errors.js'
import { checkOptions, wholeNumber, yesOrNo } from '../words/options.js'
import { definitionOf } from '../words/queue.js'
import { isList } from '../words/shown.js'

export interface DrainOptions extends Omit<ServeOptions, 'batch' | 'weight'> {
  /** Handlers that run at once. Default 1: one after the other, in the order of delivery. */
  concurrency?: number
  /** Rejects when handlers failed: with their error, or an AggregateError of several. Default false. */
  throwOnError?: boolean
  /** Rejects after so many calls of handlers: two that enqueue for each other never end. Default 10,000. */
  limit?: number
}

/** What became of one delivery. */
export interface Outcome<Payload = unknown> {
  readonly queue: string
  readonly message: Message<Payload>
  /**
   * `succeeded`; `retried`, when the handler threw and another attempt will be made; `dead`, when it threw and none
   * will; `lost`, when the message was no longer its own at the end.
   */
  readonly outcome: 'succeeded' | 'retried' | 'dead' | 'lost'
  /** What the handler returned. */
  readonly result?: unknown
  /** What the handler threw, or what its schema said of the payload. */
  readonly error?: unknown
  /** Of a retried one: due again after so many milliseconds. */
  readonly delayMs?: number
}

export interface Drained<Payload = unknown> {
  readonly succeeded: number
  readonly retried: number
  readonly dead: number
  readonly lost: number
  /** In the order in which they ended. A message that was delivered twice is there twice. */
  readonly outcomes: readonly Outcome<Payload>[]
  /** What else went wrong, such as a backoff function that threw. */
  readonly errors: readonly unknown[]
}

const known = [
  ...['concurrency', 'lease', 'timeout', 'backoff', 'onSuccess', 'keepResult'],
  ...['throwOnError', 'limit'],
]
const lookMs = 5

/** One of several queues: with a handler of messages, or with one of batches and their size. */
export type DrainedQueue<Payload = unknown> = Omit<ServeOptions, 'batch' | 'weight'> & {
  queue: QueueReference<unknown, Payload>
} & (
    | { handler: Handler<Payload>; batch?: undefined }
    | { handler: BatchHandler<Payload>; batch: BatchOptions }
  )

/** The payloads of several queues, each from its queue or its handler. */
type DrainedQueues<Payloads extends readonly unknown[]> = {
  readonly [Key in keyof Payloads]: DrainedQueue<Payloads[Key]>
}

/**
 * Runs handlers until no message of these queues is ready: those that handlers enqueue meanwhile among them, those
 * that are due later not (move the clock and drain again). Handlers get what a worker's handlers get.
 * @throws PgqrsError QUEUE_NOT_FOUND, ARGUMENT_INVALID
 */
export async function drain<Input = unknown, Output = Input>(
  pgqrs: Pgqrs<unknown>,
  queue: QueueReference<Input, Output>,
  handler: Handler<Output>,
  options?: DrainOptions,
): Promise<Drained<Output>>
export async function drain<Payloads extends readonly unknown[]>(
  pgqrs: Pgqrs<unknown>,
  served: DrainedQueues<Payloads>,
  options?: DrainOptions,
): Promise<Drained>
export async function drain(
  pgqrs: Pgqrs<unknown>,
  first: QueueReference | readonly Served[],
  second?: Handler | DrainOptions,
  third?: DrainOptions,
): Promise<Drained> {
  const several = isList(first)
  const given = several ? (second as DrainOptions | undefined) : third
  const options = given === undefined ? {} : given
  checkOptions(options, known, 'drain')
  const served: Served[] = several
    ? [...(first as readonly Served[])]
    : [{ queue: first as QueueReference, handler: second as Handler }]
  const { throwOnError = false, limit = 10_000, ...serve } = options
  const throws = yesOrNo(throwOnError, 'throwOnError')
  const drained = await run(pgqrs, served, serve, wholeNumber(limit, 'limit', 1, 1_000_000))
  if (throws) throwFirst(drained)
  return drained
}

async function run(
  pgqrs: Pgqrs<unknown>,
  served: readonly Served[],
  serve: ServeOptions,
  limit: number,
): Promise<Drained> {
  const names: string[] = []
  // A worker would wait for a queue that is not there.
  for (const { queue } of served) {
    names.push((await pgqrs.admin.getQueue(definitionOf(queue).name)).name)
  }
  const record = new Recorder()
  const watched = served.map((one) => ({ ...one, handler: record.watching(one.handler) }) as Served)
  const worker = pgqrs.worker(watched, {
    concurrency: 1,
    ...serve,
    name: 'drain',
    listen: false,
    pollInterval: 10,
    prefetch: 0,
  })
  record.listenTo(worker)
  try {
    await worker.ready()
    while (await left(pgqrs, names, worker, record)) {
      if (record.calls > limit) throw tooMany(limit)
      if (worker.phase === 'stopped') throw new PgqrsError('CLOSED', 'The worker of drain was stopped.')
      await pause(lookMs)
    }
  } finally {
    const { ids } = worker
    await worker.stop({ timeout: 0 })
    const workers = new PgqrsWorkers(pgqrs.pool)
    for (const id of ids) await workers.delete(id)
  }
  return record.drained()
}

/** A handler's transaction may keep the question waiting, in PGlite: then there is work. */
async function left(
  pgqrs: Pgqrs<unknown>,
  names: readonly string[],
  worker: Worker,
  record: Recorder,
): Promise<boolean> {
  try {
    return await workLeft(pgqrs.pool, names, worker.ids)
  } catch (error) {
    if (record.running > 0 && PgqrsError.is(error, 'DATABASE_TIMEOUT')) return true
    throw error
  }
}

/** Keeps what handlers return, and what the worker says became of their messages. */
class Recorder {
  readonly outcomes: Outcome[] = []
  readonly errors: unknown[] = []
  calls = 0
  /** Handlers that have not ended. */
  running = 0
  readonly #results = new Map<string, unknown>()

  watching(handler: Served['handler']): Served['handler'] {
    // Not a function: the worker says so.
    if (typeof handler !== 'function') return handler
    const call = handler as (given: unknown, context: unknown) => unknown
    return async (given: Message | readonly Message[], context: unknown) => {
      this.calls += 1
      this.running += 1
      const result = await new Promise((resolve) => resolve(call(given, context))).finally(() => {
        this.running -= 1
      })
      if (Array.isArray(given))
        for (const [i, message] of given.entries())
          this.#results.set(keyOf(message), Array.isArray(result) ? result[i] : undefined)
      else this.#results.set(keyOf(given as Message), result)
      return result
    }
  }

  listenTo(worker: Worker): void {
    const { outcomes } = this
    worker.on('succeeded', ({ queue, message }) => {
      outcomes.push({ queue, message, outcome: 'succeeded', result: this.#results.get(keyOf(message)) })
    })
    worker.on('retried', ({ queue, message, error, delayMs }) => {
      outcomes.push({ queue, message, outcome: 'retried', error, delayMs })
    })
    worker.on('dead', ({ queue, message, error }) => {
      outcomes.push({ queue, message, outcome: 'dead', error })
    })
    worker.on('lost', ({ queue, message }) => {
      outcomes.push({ queue, message, outcome: 'lost' })
    })
    worker.on('error', (error) => this.errors.push(error))
  }

  drained(): Drained {
    const { outcomes, errors } = this
    const count = (outcome: Outcome['outcome']) => outcomes.filter((one) => one.outcome === outcome).length
    return {
      succeeded: count('succeeded'),
      retried: count('retried'),
      dead: count('dead'),
      lost: count('lost'),
      outcomes,
      errors,
    }
  }
}

const keyOf = ({ id, attempt }: Message) => `${id} ${attempt}`

function throwFirst({ outcomes, errors }: Drained): void {
  const thrown = [...outcomes.filter((one) => 'error' in one).map(({ error }) => error), ...errors]
  if (thrown.length === 1) throw thrown[0]
  if (thrown.length > 1) throw new AggregateError(thrown, `${thrown.length} handlers failed.`)
}

const tooMany = (limit: number) =>
  new PgqrsError('ARGUMENT_INVALID', `drain: handlers were called more than ${limit} times.`, {
    hint: 'Do they enqueue for each other without end, or fail with a delay of 0? Else give a higher limit.',
  })
