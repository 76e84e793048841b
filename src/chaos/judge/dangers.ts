// How often each danger really arose. A run in which nothing dangerous happened proves nothing, and fails.

import type { FaultFamily } from '../plan.js'
import type { Books } from './books.js'
import type { Finding, Rule } from './rule.js'

/** By name, in the order of the report. */
export type Dangers = Readonly<Record<string, number>>

export function dangersOf(books: Books): Dangers {
  const { evidence, operations, told, troubles, there } = books
  const { audit, faults } = evidence
  const made: Record<string, number> = {}
  for (const { counts } of faults)
    for (const [name, count] of Object.entries(counts)) made[name] = (made[name] ?? 0) + count
  const how = (wanted: string) => told.filter((one) => one.how === wanted).length
  const unknown = operations.filter(({ ids, kind }) => ids === undefined && kind !== 'rolled back')
  return {
    ...made,
    leasesLost: audit.filter(({ what, heldUntil }) => what === 'claimed' && heldUntil !== null).length,
    leasesRenewed: audit.filter(({ what }) => what === 'renewed').length,
    deliveriesRepeated: audit.filter(({ what, attempt }) => what === 'claimed' && attempt > 1).length,
    staleSettlesRefused: how('refused'),
    handlersThatLostTheirLease: how('lost'),
    attemptsFailed: audit.filter(({ what }) => what === 'failed').length,
    deadLetters: evidence.finals.filter(({ state }) => state === 'dead').length,
    callsThatFailed: troubles.length,
    enqueuesOfUnknownOutcome: unknown.length,
    enqueuesThatWereNotToldTheySucceeded: unknown.filter(({ keys }) => keys.some((key) => there.has(key)))
      .length,
    transactionsRolledBack: operations.filter(({ kind }) => kind === 'rolled back').length,
    noSpaceErrors: troubles.filter(({ why }) => /53100|no space left/i.test(why)).length,
  }
}

/** What a family must have done at least once. */
const proofs: Record<FaultFamily, readonly string[]> = {
  kill: ['processesKilled', 'leasesLost', 'deliveriesRepeated'],
  stop: ['processesStopped', 'leasesLost', 'deliveriesRepeated'],
  terminate: ['connectionsTerminated'],
  network: ['connectionsDisturbed'],
  pool: ['poolsExhausted'],
  snapshot: ['snapshotsHeld'],
  clock: ['clocksMoved'],
  pooler: ['poolersRestarted', 'callsThatFailed'],
  restart: ['serversRestarted', 'callsThatFailed'],
  failover: ['failovers', 'callsThatFailed'],
  disk: ['disksFull', 'callsThatFailed'],
}

/** What the load itself brings about, where consumers by hand take longer than their leases. */
const always = ['staleSettlesRefused', 'leasesLost', 'deliveriesRepeated', 'transactionsRolledBack']

export const dangerous: Rule = {
  name: 'dangerous',
  promise:
    'each kind of fault really struck: messages were lost to others, settles came too late, calls failed',
  find(books): Finding {
    const dangers = dangersOf(books)
    const { families, offers } = books.evidence
    const all = [...families.flatMap((family) => proofs[family]), ...(offers.byHand ? always : [])]
    const wanted = all.filter((name) => offers.leases || name !== 'leasesLost')
    const violations = [...new Set(wanted)]
      .filter((name) => (dangers[name] ?? 0) === 0)
      .map((name) => `nothing of the kind happened: ${name}`)
    if (families.length === 0) violations.push('no fault was to strike')
    return { checked: wanted.length, violations }
  },
}
