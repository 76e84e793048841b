// What a handler can say by throwing, and how long a failed message waits.
import { backoffMs } from '../words/backoff.js'
import { type Duration, durationMs } from '../words/duration.js'
import { checkOptions } from '../words/options.js'
import { shown } from '../words/shown.js'

/** A program may hold two copies of the classes, as where tsx compiles one for `require`: each knows the other's. */
const outcome = Symbol.for('pgqrs.outcome')

const says = (error: unknown): unknown => (Object(error) as { [outcome]?: unknown })[outcome]

/** Thrown by a handler: try again after so long, instead of the backoff. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter'
  readonly delayMs: number

  constructor(delay: Duration, message = `Try again after ${shown(delay)}.`, options?: ErrorOptions) {
    super(message, options)
    this.delayMs = durationMs(delay, 'RetryAfter')
  }

  /** @internal */
  get [outcome](): string {
    return 'retry'
  }
}

/** Thrown by a handler: no further attempt; the message becomes a dead letter with this reason. */
export class DeadLetter extends Error {
  override readonly name = 'DeadLetter'

  /** @internal */
  get [outcome](): string {
    return 'dead'
  }
}

/** Exponential: `first`, twice that, …, `most`; each between half and the whole, so that a crowd spreads out. */
export interface ExponentialBackoff {
  /** Default 1 s. */
  first?: Duration
  /** Default 1 h. */
  most?: Duration
}

/** A fixed time, exponential, or a function of the attempt (from 1) and the error. */
export type Backoff = Duration | ExponentialBackoff | ((attempt: number, error: unknown) => Duration)

/** The backoff as a function, checked. @throws PgqrsError ARGUMENT_INVALID */
export function backoffOf(backoff: Backoff = {}): (attempt: number, error: unknown) => number {
  if (typeof backoff === 'function') return (attempt, error) => durationMs(backoff(attempt, error), 'backoff')
  if (typeof backoff !== 'object') {
    const fixed = durationMs(backoff, 'backoff')
    return () => fixed
  }
  checkOptions(backoff, ['first', 'most'], 'backoff')
  const first = durationMs(backoff.first ?? '1s', 'backoff.first')
  const most = durationMs(backoff.most ?? '1h', 'backoff.most')
  return (attempt) => backoffMs(attempt, Math.random, first, most)
}

/** The delay before the next attempt; null for none. */
export function delayAfter(
  error: unknown,
  attempt: number,
  backoff: (attempt: number, error: unknown) => number,
): number | null {
  if (says(error) === 'dead') return null
  if (says(error) === 'retry') return durationMs((error as RetryAfter).delayMs, 'RetryAfter')
  return backoff(attempt, error)
}
