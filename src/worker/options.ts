// What a worker can be told, with its defaults and bounds.
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { Message } from '../words/message.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { definitionOf, type QueueDefinition, type QueueReference } from '../words/queue.js'
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

export type Handler<Payload = unknown> = (message: Message<Payload>, context: HandlerContext) => unknown

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
}

/** One of several queues that a worker serves. */
export interface Served<Input = unknown, Output = Input> extends ServeOptions {
  queue: QueueReference<Input, Output>
  handler: Handler<Output>
}

export interface WorkerOptions extends ServeOptions {
  /** A name that people will know it by. */
  name?: string
  /** Looks for messages at least so often, with jitter, when nothing wakes it. Default 800 ms, at least 10 ms. */
  pollInterval?: Duration
  /** Wakes by LISTEN. Default true; `false` to poll alone. */
  listen?: boolean
  /** Where to listen, when the pool goes through a pooler, which delivers no notifications. */
  listenDsn?: string
  /** Messages fetched ahead at most, for each queue. Default 1,000, from 0; slow handlers get fewer. */
  prefetch?: number
}

export interface LaneSettings {
  readonly definition: QueueDefinition
  readonly handler: Handler
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
  readonly pollMs: number
  readonly listen: boolean
  readonly listenDsn: string | undefined
}

const serveKeys = ['concurrency', 'lease', 'timeout', 'backoff', 'onSuccess', 'keepResult']
const workerKeys = [...serveKeys, 'name', 'pollInterval', 'listen', 'listenDsn', 'prefetch']

/** @throws PgqrsError ARGUMENT_INVALID */
export function workerSettings(options: WorkerOptions): WorkerSettings {
  checkOptions(options, workerKeys, 'worker')
  return {
    name: options.name ?? null,
    pollMs: durationMs(options.pollInterval ?? 800, 'pollInterval', { atLeastMs: 10 }),
    listen: options.listen ?? true,
    listenDsn: options.listenDsn,
  }
}

/** @throws PgqrsError ARGUMENT_INVALID */
export function laneSettings(served: Served, options: WorkerOptions): LaneSettings {
  const { queue, handler, ...own } = served
  checkOptions(own, serveKeys, 'worker')
  const definition = definitionOf(queue)
  if (typeof handler !== 'function')
    throw new PgqrsError('ARGUMENT_INVALID', `The handler of the queue ${definition.name} is no function.`)
  const given: WorkerOptions = { ...options, ...own }
  const { onSuccess } = given
  if (onSuccess !== undefined && onSuccess !== 'archive' && onSuccess !== 'delete')
    throw new PgqrsError('ARGUMENT_INVALID', `onSuccess: ${String(onSuccess)} is neither archive nor delete.`)
  return {
    definition,
    handler,
    concurrency: wholeNumber(given.concurrency ?? 10, 'concurrency', 1, 10_000),
    leaseMs: durationMs(given.lease ?? '30s', 'lease', { atLeastMs: 100 }),
    timeoutMs: given.timeout === undefined ? null : durationMs(given.timeout, 'timeout', { atLeastMs: 1 }),
    backoff: backoffOf(given.backoff),
    onSuccess: onSuccess ?? null,
    keepResult: given.keepResult ?? false,
    prefetch: wholeNumber(given.prefetch ?? 1_000, 'prefetch', 0, 10_000),
  }
}
