// What a worker was given and what of it was settled, when, and what it said of itself; kept outside the database.

import type { Handler, Pgqrs, Worker, WorkerOptions } from 'pgqrs'
import { onTestFinished } from 'vitest'
import type { Delivery, Ledger } from './ledger.js'

export interface BookedWorker {
  readonly worker: Worker
  readonly deliveries: readonly Delivery[]
  /** The messages whose settle was accepted. */
  readonly accepted: readonly string[]
  /** When, by performance.now(). */
  readonly acceptedAt: readonly number[]
  readonly lost: readonly string[]
  /** Such as 'degraded database'. */
  readonly changes: readonly string[]
  /** What it called an error, and what nobody caught in this process. */
  readonly errors: readonly unknown[]
  readonly books: Pick<Ledger, 'deliveries' | 'accepted'>
}

/** A worker with its books; stopped when the test is over. */
export async function bookedWorker(
  pgqrs: Pgqrs<unknown>,
  queue: string,
  options: Omit<WorkerOptions, 'batch'> = {},
  handler: Handler = () => {},
): Promise<BookedWorker> {
  const deliveries: Delivery[] = []
  const accepted: string[] = []
  const acceptedAt: number[] = []
  const lost: string[] = []
  const changes: string[] = []
  const errors: unknown[] = []
  const uncaught = (error: unknown) => {
    errors.push(error)
  }
  process.on('unhandledRejection', uncaught)
  const booked: Handler = (message, context) => {
    deliveries.push({ id: message.id, attempt: context.attempt })
    return handler(message, context)
  }
  const worker = pgqrs.worker(queue, booked, options)
  worker.on('succeeded', ({ message }) => {
    accepted.push(message.id)
    acceptedAt.push(performance.now())
  })
  worker.on('lost', ({ message }) => lost.push(message.id))
  worker.on('degraded', ({ what }) => changes.push(`degraded ${what}`))
  worker.on('recovered', ({ what }) => changes.push(`recovered ${what}`))
  worker.on('error', (error) => errors.push(error))
  onTestFinished(async () => {
    await worker.stop({ timeout: 0 })
    process.off('unhandledRejection', uncaught)
  })
  await worker.ready()
  const books = { deliveries, accepted }
  return { worker, deliveries, accepted, acceptedAt, lost, changes, errors, books }
}

/** Said once for each change, and well in the end: degraded, recovered, degraded, recovered. */
export function isTold(changes: readonly string[], what: 'database' | 'listen'): boolean {
  const own = changes.filter((change) => change.endsWith(what))
  return own.length % 2 === 0 && own.every((change, i) => change.startsWith(i % 2 ? 'recovered' : 'degraded'))
}

const windowMs = 200

/**
 * In how many milliseconds after `from` the worker settled at nine tenths of a rate again: the beginning of the first
 * window in which it did; null while it has not.
 */
export function atRateAfter(times: readonly number[], from: number, perSecond: number): number | null {
  const enough = 0.9 * perSecond * (windowMs / 1_000)
  let end = 0
  for (let start = 0; start < times.length; start++) {
    const begin = times[start] as number
    if (begin < from) continue
    while (end < times.length && (times[end] as number) < begin + windowMs) end += 1
    if (end - start >= enough) return begin - from
  }
  return null
}
