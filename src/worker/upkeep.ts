// Now and then any worker does the upkeep of the archive, where nobody else has done it lately.
import { setTimeout as pause } from 'node:timers/promises'
import { type UpkeepStep, upkeep, upkeepState } from '../admin/upkeep.js'
import type { Database } from '../database/database.js'
import { isPassing } from '../database/sqlstates.js'
import { PgqrsError } from '../words/errors.js'
import type { Reporter } from './events.js'

/** The first look comes after such a part of the interval. */
const firstPart = 1 / 40
/** Begins no step after so long: there is a next time. */
const runMs = 300_000

export class Upkeeper {
  readonly #database: Database
  readonly #reporter: Reporter
  readonly #everyMs: number
  #told: string | undefined

  constructor(database: Database, reporter: Reporter, everyMs: number) {
    this.#database = database
    this.#reporter = reporter
    this.#everyMs = everyMs
  }

  /** Until it is aborted: what runs then is cut off, for another worker to do. */
  async run(until: AbortSignal): Promise<void> {
    for (let part = firstPart; !until.aborted; part = 1) {
      // With jitter: workers that were started together do not look together.
      const wait = this.#everyMs * part * (0.75 + Math.random() / 2)
      await pause(wait, undefined, { signal: until, ref: false }).catch(() => {})
      if (!until.aborted) await this.#look(until)
    }
  }

  async #look(until: AbortSignal): Promise<void> {
    try {
      const { doneAt, sinceMs } = await upkeepState(this.#database)
      // Another one has done it.
      if (doneAt !== null && sinceMs < this.#everyMs / 2) return
      const { steps } = await upkeep(this.#database, { timeMs: runMs, until })
      this.#tell(troubleOf(steps))
    } catch (error) {
      // The database is away, or the worker stops: there is a next time.
      if (!until.aborted && !isPassing(error)) this.#tell(error)
    }
  }

  /** Once for each trouble, not each time it is met. */
  #tell(error: unknown): void {
    const trouble = error === undefined ? undefined : String(error)
    if (trouble !== undefined && trouble !== this.#told) this.#reporter.tell('error', error)
    this.#told = trouble
  }
}

/** What does not pass by itself: a lock that somebody holds does. */
function troubleOf(steps: readonly UpkeepStep[]): PgqrsError | undefined {
  const step = steps.find(({ trouble }) => trouble !== null && trouble !== 'locked')
  if (step === undefined) return undefined
  const { what, partition, trouble } = step
  return new PgqrsError(
    'DATABASE_ERROR',
    `The upkeep failed to ${what} ${partition ?? 'a partition'}: ${trouble}.`,
    {
      hint: 'The archive goes on as it is. See docs/retention.md.',
      details: { ...step },
    },
  )
}
