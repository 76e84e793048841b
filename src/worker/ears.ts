// Hears that queues have news: LISTEN on a connection of its own. Whether notifications really arrive is found out
// by sending one to oneself: a pooler takes the LISTEN and delivers nothing. Without ears a worker polls.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.js'
import type { Listener } from '../database/driver.js'
import { askedOfWorkers } from '../database/notifier.js'
import type { Calls } from './calls.js'
import type { Reporter } from './events.js'

const proofMs = 3_000
const firstPauseMs = 100
const longestPauseMs = 30_000

export class Ears {
  readonly #database: Database
  readonly #calls: Calls
  readonly #reporter: Reporter
  readonly #dsn: string | undefined
  readonly #news: (queue?: string) => void
  readonly #asked: () => void
  readonly #stopped = new AbortController()

  constructor(
    database: Database,
    calls: Calls,
    reporter: Reporter,
    dsn: string | undefined,
    news: (queue?: string) => void,
    asked: () => void,
  ) {
    this.#database = database
    this.#calls = calls
    this.#reporter = reporter
    this.#dsn = dsn
    this.#news = news
    this.#asked = asked
  }

  stop(): void {
    this.#stopped.abort()
  }

  /** Listens, and listens again whenever the connection is lost, until it is stopped. */
  async run(): Promise<void> {
    const { signal } = this.#stopped
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await this.#listenOnce(() => {
          failures = 0
        })
      } catch (error) {
        if (!signal.aborted) this.#reporter.degraded('listen', error)
      }
      if (signal.aborted) return
      const wait =
        Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)
      await pause(wait, undefined, { signal }).catch(() => {})
    }
  }

  async #listenOnce(proven: () => void): Promise<void> {
    const { signal } = this.#stopped
    const proof = `?${Math.random().toString(36).slice(2)}`
    let prove = () => {}
    const arrived = new Promise<void>((resolve) => {
      prove = resolve
    })
    const heard = (queue: string) => {
      if (queue === proof) prove()
      else if (queue === askedOfWorkers) this.#asked()
      else if (!queue.startsWith('?')) this.#news(queue)
    }
    const listener: Listener = await this.#database.listen(heard, this.#dsn)
    const ended = listener.ended.then(() => {
      throw new Error('The connection that listens was lost.')
    })
    ended.catch(() => {})
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
    try {
      await this.#calls.session.run('notify', [[proof]])
      const late = pause(proofMs, undefined, { signal, ref: false }).then(() => {
        throw new Error(
          'LISTEN was accepted and delivers nothing: the connection goes through a pooler. Give listenDsn, a DSN that goes straight to the server.',
        )
      })
      late.catch(() => {})
      await Promise.race([arrived, late, ended, stopped])
      if (signal.aborted) return
      proven()
      this.#reporter.recovered('listen')
      // What was said while nobody listened.
      this.#news()
      await Promise.race([ended, stopped])
    } finally {
      await listener.close()
    }
  }
}
