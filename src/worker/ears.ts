// Hears that queues have news: LISTEN on a connection of its own. Whether notifications really arrive is found out
// by sending one to oneself: a pooler takes the LISTEN and delivers nothing, and a connection whose other end is gone
// says nothing either, so it is done again from time to time. Without ears a worker polls.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.js'
import type { Listener } from '../database/driver.js'
import { askedOfWorkers } from '../database/notifier.js'
import { isPassing } from '../database/sqlstates.js'
import type { Calls } from './calls.js'
import type { Reporter } from './events.js'

const proofMs = 3_000
const firstPauseMs = 100
/** While the database is away; and where it answers and listening does not work. */
const longestPauseMs = { away: 2_000, deaf: 30_000 }
const pooled =
  'LISTEN was accepted and delivers nothing: the connection goes through a pooler. Give listenDsn, a DSN that goes straight to the server.'
const silent = 'The connection that listens has gone silent.'

export class Ears {
  readonly #database: Database
  readonly #calls: Calls
  readonly #reporter: Reporter
  readonly #dsn: string | undefined
  readonly #news: (queue?: string) => void
  readonly #asked: () => void
  readonly #stopped = new AbortController()
  /** Whether it is known that notifications arrive. */
  hears = false

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
      let longestMs = longestPauseMs.deaf
      try {
        await this.#listenOnce(() => {
          failures = 0
        })
      } catch (error) {
        if (!signal.aborted) this.#reporter.degraded('listen', error)
        if (isPassing(error)) longestMs = longestPauseMs.away
      }
      if (signal.aborted) return
      const wait = Math.min(longestMs, firstPauseMs * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)
      await pause(wait, undefined, { signal }).catch(() => {})
    }
  }

  async #listenOnce(proven: () => void): Promise<void> {
    const { signal } = this.#stopped
    let proof = ''
    let arrive = () => {}
    const heard = (queue: string) => {
      if (queue === proof) arrive()
      else if (queue === askedOfWorkers) this.#asked()
      else if (!queue.startsWith('?')) this.#news(queue)
    }
    const listener: Listener = await this.#database.listen(heard, this.#dsn)
    const ended = listener.ended.then(() => {
      throw new Error('The connection that listens was lost.')
    })
    ended.catch(() => {})
    let stop = () => {}
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const over = Promise.race([ended, stopped])
    const prove = async (complaint: string) => {
      proof = `?${Math.random().toString(36).slice(2)}`
      const arrived = new Promise<void>((resolve) => {
        arrive = resolve
      })
      await Promise.race([this.#calls.session.run('notify', [[proof]]), over])
      const waiting = new AbortController()
      const late = pause(proofMs, undefined, { signal: waiting.signal }).then(() => {
        throw new Error(complaint)
      })
      late.catch(() => {})
      await Promise.race([arrived, late, over]).finally(() => waiting.abort())
    }
    try {
      await prove(pooled)
      if (signal.aborted) return
      proven()
      this.hears = true
      this.#reporter.recovered('listen')
      // What was said while nobody listened.
      this.#news()
      while (!signal.aborted) {
        await Promise.race([this.#doubt(), over])
        if (signal.aborted) return
        await prove(silent).catch((error) => {
          // That it could not be sent says nothing of the ears.
          if (!isPassing(error)) throw error
        })
      }
    } finally {
      this.hears = false
      signal.removeEventListener('abort', stop)
      await listener.close()
    }
  }

  /** Until it is time to ask whether the connection still hears: at once when others had trouble and have it no more. */
  async #doubt(): Promise<void> {
    const { emitter } = this.#reporter
    const over = new AbortController()
    const recovered = new Promise<void>((resolve) => {
      const resolved = () => resolve()
      emitter.on('recovered', resolved)
      over.signal.addEventListener('abort', () => emitter.off('recovered', resolved))
    })
    const waited = pause(2 * this.#calls.timeoutMs * (0.75 + Math.random() / 2), undefined, {
      signal: AbortSignal.any([over.signal, this.#stopped.signal]),
    }).catch(() => {})
    await Promise.race([recovered, waited]).finally(() => over.abort())
  }
}
