// A token bucket: what a producer may enqueue. On the monotonic clock of this process; no statement sees it.
import type { RateLimit } from '../config/fields.js'
import { PgqrsError } from '../words/errors.js'

export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  readonly #now: () => number
  #tokens: number
  #filledAt: number

  /** @param now milliseconds, monotonic */
  constructor(limit: RateLimit, now: () => number = () => performance.now()) {
    if (!(limit.perSecond > 0) || (limit.burst !== undefined && !(limit.burst >= 1)))
      throw new PgqrsError('ARGUMENT_INVALID', 'rateLimit: perSecond must be above 0 and burst at least 1.')
    this.#perMs = limit.perSecond / 1_000
    this.#burst = limit.burst ?? Math.max(1, Math.floor(limit.perSecond))
    this.#now = now
    this.#tokens = this.#burst
    this.#filledAt = now()
  }

  /**
   * Takes tokens for so many messages, all or none.
   * @throws PgqrsError RATE_LIMITED, with `details.retryAfterMs`; that is null when the batch can never pass
   */
  take(count: number): void {
    const now = this.#now()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#perMs)
    this.#filledAt = now
    if (count <= this.#tokens) {
      this.#tokens -= count
      return
    }
    if (count > this.#burst)
      throw new PgqrsError(
        'RATE_LIMITED',
        `A batch of ${count} messages can never pass a burst of ${this.#burst}.`,
        {
          hint: 'Send smaller batches, or raise burst.',
          details: { retryAfterMs: null },
        },
      )
    const retryAfterMs = Math.ceil((count - this.#tokens) / this.#perMs)
    throw new PgqrsError('RATE_LIMITED', `The rate limit is reached; try again in ${retryAfterMs} ms.`, {
      hint: 'Wait details.retryAfterMs milliseconds, or raise the limit.',
      details: { retryAfterMs },
    })
  }
}
