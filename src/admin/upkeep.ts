// The upkeep: partitions of the archive made ahead of time, what is beyond its retention, and registrations of workers
// that are gone. Each step is a transaction of its own with limits, done by one session at a time; the functions of
// the schema know what is due.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'

/** What a step did. */
export interface UpkeepStep {
  /**
   * - `create`: made a partition ahead of time
   * - `mark`, `validate`, `unmark`, `close`: made a partition of the default one, in which rows were
   * - `drop`: took away a partition of the future that was wider than the retentions ask for
   * - `empty`: emptied a partition, but for the rows that are kept
   * - `delete`: deleted rows that are overdue where many others are kept
   * - `join`: joined two partitions with few rows
   * - `workers`: removed registrations of workers that are gone
   */
  readonly what: string
  readonly partition: string | null
  /** How many rows it concerned; about, for `empty`. */
  readonly rows: number
  /** Why it was given up, such as `locked`; null when it was done. */
  readonly trouble: string | null
}

export interface Upkeep {
  /** `busy`: another session is at it. `unfinished`: something is left for the next time; see `trouble`. */
  readonly outcome: 'done' | 'busy' | 'unfinished'
  readonly steps: readonly UpkeepStep[]
}

export interface UpkeepState {
  /** When there was last nothing left to do; null: never yet. */
  readonly doneAt: Date | null
  /** Milliseconds since then, or since the installation. */
  readonly sinceMs: number
  /** Not done for a day. */
  readonly overdue: boolean
}

export interface UpkeepLimits {
  /** Begins no step after so long. */
  timeMs: number
  /** Once it is aborted, the step that runs is cut off. */
  until?: AbortSignal
}

const overdueMs = 86_400_000
/** Reads a large partition from end to end, under a lock that nobody minds: last, and with a limit of its own. */
const slow = 'validate pgqrs_archive_default'
const slowLimitMs = 1_800_000
const limitMs = 10_000
/** A step that meets a lock is tried so often, with pauses between; all steps of a run together, so often. */
const mostTries = 5
const mostTriesTogether = 20
const pauseMs = () => 50 + Math.random() * 200
/** Between steps, others get as long as the last one took. */
const longestPauseMs = 1_000

/** Does what is due. @throws PgqrsError what the database says */
export async function upkeep(database: Database, limits: UpkeepLimits): Promise<Upkeep> {
  const { timeMs, until } = limits
  const begun = performance.now()
  const steps: UpkeepStep[] = []
  const skipped = [slow]
  const tries = new Map<string, number>()
  let locked = 0
  const end = (outcome: Upkeep['outcome']) => ({ outcome, steps })
  while (performance.now() - begun < timeMs && until?.aborted !== true) {
    const stepBegun = performance.now()
    const step = await nextStep(database, skipped, until)
    if (step.what === 'busy') return end('busy')
    if (step.what === null) {
      if (skipped[0] !== slow) return end(skipped.length === 0 ? 'done' : 'unfinished')
      skipped.shift()
      continue
    }
    const done = { ...step, what: step.what }
    const key =
      step.what === 'create' || step.what === 'workers' ? step.what : `${step.what} ${step.partition}`
    const tried = (tries.get(key) ?? 0) + 1
    tries.set(key, tried)
    locked += step.trouble === 'locked' ? 1 : 0
    if (step.trouble === null) steps.push(done)
    else if (step.trouble !== 'locked' || tried >= mostTries) {
      steps.push(done)
      skipped.push(key)
    }
    if (locked >= mostTriesTogether) break
    const wait = step.trouble === null ? performance.now() - stepBegun : pauseMs()
    await pause(
      Math.min(wait, longestPauseMs),
      undefined,
      until === undefined ? {} : { signal: until },
    ).catch(() => {})
  }
  return end('unfinished')
}

interface DoneStep extends Omit<UpkeepStep, 'what'> {
  what: string | null
}

async function nextStep(
  database: Database,
  skipped: readonly string[],
  until: AbortSignal | undefined,
): Promise<DoneStep> {
  const limit = skipped[0] === slow ? limitMs : slowLimitMs
  const limits = { timeoutMs: limit + 1_000, ...(until === undefined ? {} : { until }) }
  return database.transaction(async (session) => {
    await session.run('limitStatements', [String(limit)])
    const [row] = await session.run('upkeepStep', [skipped])
    if (row === undefined) throw new PgqrsError('DATABASE_ERROR', 'The upkeep gave no answer.')
    return { what: row.what, partition: row.partition, rows: Number(row.affected), trouble: row.trouble }
  }, limits)
}

/** How the upkeep stands. */
export async function upkeepState(database: Database): Promise<UpkeepState> {
  const [row] = await database.run('upkeepState')
  const sinceMs = Number(row?.since_ms ?? 0)
  return { doneAt: row?.done_at ?? null, sinceMs, overdue: sinceMs > overdueMs }
}
