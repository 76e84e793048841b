// The judge: reads what was written down while it happened, when all is over, and says which promises held.

import { type Books, booksOf } from './books.js'
import { type Dangers, dangerous, dangersOf } from './dangers.js'
import {
  attemptsWithinTheLimit,
  deliveredAsClaimed,
  inOrder,
  leasesByTheDatabasesClock,
  notBeforeItIsDue,
  oneHolder,
} from './deliveries.js'
import { allOrNothing, besideItsRow, nothingLost, rolledBackStaysAway } from './enqueues.js'
import type { Evidence } from './evidence.js'
import { faultsStrike, programsLive, type Recovery, recoveriesOf, recoversInTime } from './recovery.js'
import type { Rule } from './rule.js'
import {
  deadLettersSayWhy,
  effectsWithTheirSettle,
  nothingLeftBehind,
  settledByItsHolder,
  settledForGood,
  settledOnce,
} from './settles.js'

export const rules: readonly Rule[] = [
  nothingLost,
  rolledBackStaysAway,
  besideItsRow,
  allOrNothing,
  settledOnce,
  settledByItsHolder,
  settledForGood,
  effectsWithTheirSettle,
  oneHolder,
  leasesByTheDatabasesClock,
  attemptsWithinTheLimit,
  deliveredAsClaimed,
  notBeforeItIsDue,
  inOrder,
  deadLettersSayWhy,
  nothingLeftBehind,
  programsLive,
  recoversInTime,
  faultsStrike,
  dangerous,
]

export interface Judgement {
  readonly name: string
  readonly promise: string
  /** What was looked at; 0 where the rule was not asked for. */
  readonly checked: number
  /** How often it was broken. */
  readonly broken: number
  /** The first of them, in words. */
  readonly violations: readonly string[]
  /** Why it was not asked. */
  readonly skipped: string | undefined
}

export interface Verdict {
  readonly passed: boolean
  readonly rules: readonly Judgement[]
  readonly dangers: Dangers
  readonly recoveries: readonly Recovery[]
  readonly messages: { readonly enqueued: number; readonly deliveries: number; readonly settled: number }
}

const shown = 10

/** A pure function: the same evidence gives the same verdict. */
export function judge(evidence: Evidence): Verdict {
  const books = booksOf(evidence)
  const judged = rules.map((rule) => judgement(rule, books))
  const count = (wanted: string) => evidence.audit.filter(({ what }) => what === wanted).length
  return {
    passed: judged.every(({ broken }) => broken === 0),
    rules: judged,
    dangers: dangersOf(books),
    recoveries: recoveriesOf(books),
    messages: { enqueued: count('enqueued'), deliveries: count('claimed'), settled: count('left') },
  }
}

function judgement(rule: Rule, books: Books): Judgement {
  const { name, promise } = rule
  const skipped = rule.skip?.(books)
  const { checked, violations } = skipped === undefined ? rule.find(books) : { checked: 0, violations: [] }
  return {
    name,
    promise,
    checked,
    broken: violations.length,
    violations: violations.slice(0, shown),
    skipped,
  }
}
