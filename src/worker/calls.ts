// The worker's calls to the database: each with a limit on its time, tried again with jittered backoff while the
// database is away, and saying once that it went and once that it came back.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Session } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'
import type { Reporter } from './events.js'

/** Longer than any statement of a worker takes; shorter than anybody waits for one that hangs. */
const timeoutMs = 15_000
const firstPauseMs = 50
const longestPauseMs = 2_000

const passing = new Set(['DATABASE_UNAVAILABLE', 'DATABASE_TIMEOUT'])

/** Whether the database may answer when it is asked again. */
export function isPassing(error: unknown): boolean {
  return PgqrsError.is(error) && passing.has(error.code)
}

export class Calls {
  readonly session: Session
  readonly #reporter: Reporter

  constructor(database: Database, reporter: Reporter) {
    this.session = database.within(timeoutMs)
    this.#reporter = reporter
  }

  /**
   * Runs `work` until it succeeds, fails for good, `until` is aborted, or `forMs` have passed.
   * @param work gets the number of tries that failed before
   */
  async persistently<T>(
    work: (session: Session, tries: number) => Promise<T>,
    { forMs = Number.POSITIVE_INFINITY, until }: { forMs?: number; until?: AbortSignal } = {},
  ): Promise<T> {
    const last = performance.now() + forMs
    for (let tries = 0; ; tries++) {
      try {
        const result = await work(this.session, tries)
        this.#reporter.recovered('database')
        return result
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#reporter.degraded('database', error)
        const wait =
          Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2)
        if (until?.aborted || performance.now() + wait > last) throw error
        await pause(wait, undefined, until === undefined ? {} : { signal: until }).catch(() => {})
        if (until?.aborted) throw error
      }
    }
  }
}
