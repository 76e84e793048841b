// A length of time as people write it: '250ms', '30s', '5m', '1.5h', '7d', '2w', or a number of milliseconds.
import { PgqrsError } from './errors.js'
import { shown } from './shown.js'

type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w'

/** Milliseconds as a number, or a number with a unit: `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'7d'`, `'1w'`. */
export type Duration = number | `${number}${Unit}` | `${number} ${Unit}`

const unitMs: Record<Unit, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** A hundred years: longer is a slip of the unit, and PostgreSQL's timestamps stay far from their end. */
const longestDurationMs = 100 * 365 * unitMs.d

/** What a timer can wait for; one that is set for longer goes off at once. */
export const longestTimerMs = 2_147_483_647

const pattern = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w)$/

/**
 * Milliseconds of a duration, rounded to a whole number.
 * @param what the option's name, for the error
 * @throws PgqrsError ARGUMENT_INVALID when it is no duration, negative, or longer than a hundred years
 */
export function durationMs(value: Duration, what: string, { atLeastMs = 0 } = {}): number {
  const ms = typeof value === 'string' ? parse(value) : value
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0)
    throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${show(value)} is no duration.`, {
      hint: "Give milliseconds (5000) or a number with a unit: '250ms', '30s', '5m', '2h', '7d', '1w'.",
    })
  if (ms > longestDurationMs || ms < atLeastMs)
    throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${show(value)} is out of range.`, {
      hint: `Give a duration between ${atLeastMs} ms and a hundred years.`,
    })
  return Math.round(ms)
}

function parse(text: string): number {
  const match = pattern.exec(text.trim())
  return match ? Number(match[1]) * unitMs[match[2] as Unit] : Number.NaN
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${shown(value)}'` : shown(value)
}
