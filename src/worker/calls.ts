// The worker's calls to the database: each with a limit on its time, tried again with jittered backoff while the
// database is away, and saying once that it went and once that it came back.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Session } from '../database/database.js'
import { isPassing } from '../database/sqlstates.js'
import type { Reporter } from './events.js'

const firstPauseMs = 50
/** Cut short by no answer that another call gets: what fails by itself alone must not fail without a pause. */
const leastPauseMs = 100
const longestPauseMs = 1_000

export class Calls {
  readonly session: Session
  /** After which a call is given up. */
  readonly timeoutMs: number
  readonly #database: Database
  readonly #reporter: Reporter
  /** Ends the pauses of all: one of them has got an answer. */
  #back = new AbortController()
  #pausing = 0

  constructor(database: Database, reporter: Reporter, timeoutMs: number) {
    this.timeoutMs = timeoutMs
    this.session = database.within(timeoutMs)
    this.#database = database
    this.#reporter = reporter
  }

  /** Tells which queues this program announces, until it is aborted. */
  hear(heard: (queue: string) => void, until: AbortSignal): void {
    this.#database.notifier.hear(heard, until)
  }

  /** A session whose calls are given up sooner. */
  within(timeoutMs: number): Session {
    return timeoutMs < this.timeoutMs ? this.#database.within(timeoutMs) : this.session
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
        if (this.#pausing > 0) this.#wakeAll()
        return result
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#reporter.degraded('database', error)
        const wait =
          Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2)
        if (until?.aborted || performance.now() + wait > last) throw error
        await this.#pause(wait, until)
        if (until?.aborted) throw error
      }
    }
  }

  async #pause(ms: number, until: AbortSignal | undefined): Promise<void> {
    const least = Math.min(ms, leastPauseMs)
    await pause(least, undefined, until === undefined ? {} : { signal: until }).catch(() => {})
    this.#pausing += 1
    const back = this.#back.signal
    const signal = until === undefined ? back : AbortSignal.any([back, until])
    await pause(ms - least, undefined, { signal }).catch(() => {})
    this.#pausing -= 1
  }

  #wakeAll(): void {
    const back = this.#back
    this.#back = new AbortController()
    back.abort()
  }
}
