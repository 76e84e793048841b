// A clock that can be moved. The database's cannot, so the data is: every time that pgqrs has stored moves back.
import type { Pgqrs } from '../index.js'
import { moveTimesBack } from '../tables/clock.js'
import { type Duration, durationMs } from '../words/duration.js'

export interface Clock {
  /**
   * Lets so much time pass, for pgqrs: delays and retries come due, leases run out, workers have not beaten for so
   * long, what was archived is older. In one statement, every time that is stored moves back by `by`:
   * of messages (`due_at`, `enqueued_at`, `dequeued_at`, `leased_until`), of archived messages, of workers, and of
   * queues. Waits for transactions that are settling messages at that moment.
   *
   * The clock itself stays: `clock_timestamp()` in SQL and `Date.now()` in your program say what they said, and so
   * the times that pgqrs gives you have moved back too.
   * @throws PgqrsError ARGUMENT_INVALID when `by` is no duration
   */
  advance(by: Duration): Promise<void>
}

/** The clock of the database that `pgqrs` is connected to. */
export function clockOf(pgqrs: Pgqrs<unknown>): Clock {
  return {
    async advance(by) {
      await moveTimesBack(pgqrs.pool, durationMs(by, 'advance'))
    },
  }
}
