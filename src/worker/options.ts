// What a worker can be told, with its defaults and bounds.
import { type Duration, durationMs, longestTimerMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { Message } from '../words/message.js'
import { checkOptions, wholeNumber, yesOrNo } from '../words/options.js'
import { isStorable } from '../words/plain.js'
import { definitionOf, type QueueDefinition, type QueueReference } from '../words/queue.js'
import { entriesOf, shown } from '../words/shown.js'
import { type Backoff, backoffOf } from './outcome.js'

/** What a handler gets beside its message. */
export interface HandlerContext {
  /** Aborted when the lease is lost, the time is up, or the worker stops and waits no longer. */
  readonly signal: AbortSignal
  /** Which delivery of the message this is, from 1. */
  readonly attempt: number
  /** Renews the lease by hand, for at least so long; it is renewed by itself while the handler runs. */
  extend(by: Duration): Promise<boolean>
  /**
   * Runs `work` in a transaction that settles the message too: its writes and the settle are one commit.
   * @param work gets a client of the driver (for `pg`, a `PoolClient`), inside the transaction
   * @throws PgqrsError LEASE_LOST, and nothing is committed, when this attempt no longer holds the message
   */
  // biome-ignore lint/suspicious/noExplicitAny: the client's type is the driver's
  tx<T>(work: (client: any) => Promise<T>): Promise<T>
}

/** What a handler of batches gets beside its messages: as for one, but for all of them together. */
export interface BatchContext extends Omit<HandlerContext, 'attempt'> {}

export type Handler<Payload = unknown> = (message: Message<Payload>, context: HandlerContext) => unknown

/**
 * A handler of batches. When it resolves with an array, an Error in it is the failure of the message in that place
 * (`RetryAfter` and `DeadLetter` as usual), anything else its result. When it throws, all have failed.
 */
export type BatchHandler<Payload = unknown> = (
  messages: readonly Message<Payload>[],
  context: BatchContext,
) => unknown

export interface BatchOptions {
  /** Messages of one call at most, from 1 to 10,000. */
  size: number
  /** Waits so long for a batch to fill. Default 0: what is there. */
  wait?: Duration
}

export interface ServeOptions {
  /** Handlers that run at once. Default 10, from 1 to 10,000. */
  concurrency?: number
  /** How long a message is leased for, and within what time a dead worker's messages are delivered again.
   *  Renewed while a handler runs. Default 30 s, at least 100 ms. */
  lease?: Duration
  /** A handler that runs longer has failed; its signal is aborted. Default: none. */
  timeout?: Duration
  /** How long a failed message waits. Default: exponential with jitter, from a second to an hour. */
  backoff?: Backoff
  /** What becomes of a message whose handler succeeded. Default: what the queue says. */
  onSuccess?: 'archive' | 'delete'
  /** Keeps what the handler returned, as JSON, with the archived message. Default false. */
  keepResult?: boolean
  /** Gives the handler arrays of messages; `concurrency` is the number of batches then. Default: one by one. */
  batch?: BatchOptions
  /** Of several queues that share `totalConcurrency`: this one's part, from 1 to 1,000. Default 1. */
  weight?: number
}

/** One of several queues that a worker serves, with a handler for each message. */
export interface ServedEach<Input = unknown, Output = Input> extends ServeOptions {
  queue: QueueReference<Input, Output>
  handler: Handler<Output>
  batch?: undefined
}

/** One of several queues that a worker serves, with a handler for batches. */
export interface ServedBatches<Input = unknown, Output = Input> extends ServeOptions {
  queue: QueueReference<Input, Output>
  handler: BatchHandler<Output>
  batch: BatchOptions
}

/** One of several queues that a worker serves. */
export type Served<Input = unknown, Output = Input> = ServedEach<Input, Output> | ServedBatches<Input, Output>

/** Several queues, each with the payloads of its own queue or handler. */
export type ServedQueues<Payloads extends readonly unknown[]> = {
  // biome-ignore lint/suspicious/noExplicitAny: what a queue takes does not matter to a handler
  readonly [Key in keyof Payloads]: Served<any, Payloads[Key]>
}

export interface WorkerOptions extends ServeOptions {
  /** A name that people will know it by. */
  name?: string
  /**
   * Looks for messages at least so often, with jitter, when nothing wakes it; at least 10 ms. Default 800 ms, and
   * twice that while it is known that notifications arrive.
   */
  pollInterval?: Duration
  /** Wakes by LISTEN. Default true; `false` to poll, and hear this program alone. */
  listen?: boolean
  /** Where to listen, when the pool goes through a pooler, which delivers no notifications. */
  listenDsn?: string
  /** A call to the database that takes longer is given up and made again. Default 15 s, at least 100 ms. */
  callTimeout?: Duration
  /** Messages fetched ahead at most, for each queue. Default 2,000, from 0; slow handlers get fewer. */
  prefetch?: number
  /** Handlers that run at once for all queues of this worker together. Default: no limit but the queues' own. */
  totalConcurrency?: number
  /**
   * Which queue is next when `totalConcurrency` is reached: `fair` (default), by weight, so that a deep queue
   * starves nobody; or `strict`, the first in the list that has messages.
   */
  order?: 'fair' | 'strict'
  /**
   * Does the upkeep of the archive (partitions, retention) about so often, where no other worker has done it.
   * Default 10 min, at least 100 ms; `false` to leave it to others.
   */
  upkeep?: Duration | false
}

export interface LaneSettings {
  readonly definition: QueueDefinition
  readonly handler: Handler | BatchHandler
  readonly batch: { readonly size: number; readonly waitMs: number } | null
  readonly weight: number
  readonly concurrency: number
  readonly leaseMs: number
  readonly timeoutMs: number | null
  readonly backoff: (attempt: number, error: unknown) => number
  readonly onSuccess: 'archive' | 'delete' | null
  readonly keepResult: boolean
  readonly prefetch: number
}

export interface WorkerSettings {
  readonly name: string | null
  readonly poll: { readonly hearingMs: number; readonly deafMs: number }
  readonly listen: boolean
  readonly listenDsn: string | undefined
  readonly callTimeoutMs: number
  readonly totalConcurrency: number
  readonly strict: boolean
  readonly upkeepMs: number | null
}

/** It stands with what the worker archives. */
const longestName = 200

const serveKeys = ['concurrency', 'lease', 'timeout', 'backoff', 'onSuccess', 'keepResult', 'batch', 'weight']
const workerKeys = [
  ...serveKeys,
  'name',
  'pollInterval',
  'listen',
  'listenDsn',
  'callTimeout',
  'prefetch',
  'totalConcurrency',
  'order',
  'upkeep',
]

/** @throws PgqrsError ARGUMENT_INVALID */
export function workerSettings(options: WorkerOptions): WorkerSettings {
  checkOptions(options, workerKeys, 'worker')
  const { order = 'fair', totalConcurrency } = options
  if (order !== 'fair' && order !== 'strict')
    throw new PgqrsError('ARGUMENT_INVALID', `order: ${shown(order)} is neither fair nor strict.`, {
      hint: 'Give fair or strict.',
    })
  return {
    totalConcurrency:
      totalConcurrency === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber(totalConcurrency, 'totalConcurrency', 1, 100_000),
    strict: order === 'strict',
    upkeepMs:
      options.upkeep === false
        ? null
        : Math.min(durationMs(options.upkeep ?? '10m', 'upkeep', { atLeastMs: 100 }), longestTimerMs / 2),
    name: textOf(options.name, 'name', longestName) ?? null,
    poll: pollOf(options.pollInterval),
    listen: yesOrNo(options.listen, 'listen') ?? true,
    listenDsn: textOf(options.listenDsn, 'listenDsn'),
    callTimeoutMs: Math.min(
      durationMs(options.callTimeout ?? '15s', 'callTimeout', { atLeastMs: 100 }),
      longestTimerMs,
    ),
  }
}

/** @throws PgqrsError ARGUMENT_INVALID */
export function laneSettings(served: Served, options: WorkerOptions): LaneSettings {
  if (entriesOf(served) === undefined)
    throw new PgqrsError('ARGUMENT_INVALID', 'What a worker serves is no object.', {
      hint: 'Give a list of { queue, handler }, with options of the queue beside them.',
    })
  const { queue, handler, ...own } = served
  checkOptions(own, serveKeys, 'worker')
  const definition = definitionOf(queue)
  if (typeof handler !== 'function')
    throw new PgqrsError('ARGUMENT_INVALID', `The handler of the queue ${definition.name} is no function.`, {
      hint: 'Give a function of the message: async (message, context) => { … }.',
    })
  const given: WorkerOptions = { ...options, ...own }
  const { onSuccess } = given
  if (onSuccess !== undefined && onSuccess !== 'archive' && onSuccess !== 'delete')
    throw new PgqrsError(
      'ARGUMENT_INVALID',
      `onSuccess: ${shown(onSuccess)} is neither archive nor delete.`,
      {
        hint: 'Give archive or delete.',
      },
    )
  return {
    definition,
    handler,
    // More than all queues together may run would be fetched and wait.
    concurrency: Math.min(
      wholeNumber(given.concurrency ?? 10, 'concurrency', 1, 10_000),
      options.totalConcurrency ?? Number.POSITIVE_INFINITY,
    ),
    leaseMs: durationMs(given.lease ?? '30s', 'lease', { atLeastMs: 100 }),
    timeoutMs: given.timeout === undefined ? null : durationMs(given.timeout, 'timeout', { atLeastMs: 1 }),
    backoff: backoffOf(given.backoff),
    onSuccess: onSuccess ?? null,
    keepResult: yesOrNo(given.keepResult, 'keepResult') ?? false,
    batch: given.batch === undefined ? null : batchOf(given.batch),
    weight: wholeNumber(given.weight ?? 1, 'weight', 1, 1_000),
    prefetch: wholeNumber(given.prefetch ?? 2_000, 'prefetch', 0, 10_000),
  }
}

function textOf(value: unknown, what: string, longest = Number.POSITIVE_INFINITY): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string' && value !== '' && value.length <= longest && isStorable(value)) return value
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${shown(value)} is no text for this.`, {
    hint: longest < 1e6 ? `Give a text of at most ${longest} characters.` : 'Give a text.',
  })
}

function batchOf(batch: BatchOptions): { size: number; waitMs: number } {
  checkOptions(batch, ['size', 'wait'], 'batch')
  return {
    size: wholeNumber(batch?.size, 'batch.size', 1, 10_000),
    waitMs: durationMs(batch.wait ?? 0, 'batch.wait'),
  }
}

const pollDefaultMs = 800

function pollOf(interval: Duration | undefined): WorkerSettings['poll'] {
  if (interval === undefined) return { hearingMs: 2 * pollDefaultMs, deafMs: pollDefaultMs }
  const ms = Math.min(durationMs(interval, 'pollInterval', { atLeastMs: 10 }), longestTimerMs)
  return { hearingMs: ms, deafMs: ms }
}
