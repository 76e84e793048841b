// The books of what consumers took and settled, and what in them breaks a promise.

import type { OwnQueue } from './own-queue.js'

export interface Delivery {
  id: string
  attempt: number
}

export interface Ledger {
  enqueued: readonly string[]
  deliveries: readonly Delivery[]
  /** For each settle that was accepted, its message. */
  accepted: readonly string[]
  archived: readonly Delivery[]
  live: readonly string[]
}

/** What the tables say now. */
export async function tablesOf({ sql }: Pick<OwnQueue, 'sql'>): Promise<Pick<Ledger, 'archived' | 'live'>> {
  const archived = await sql<Delivery>('select id, attempt from pgqrs_archive')
  const live = await sql<Delivery>('select id from pgqrs_messages')
  return { archived, live: live.map(({ id }) => id) }
}

/** Broken promises, in words, the first of each kind: nothing lost, nothing twice. */
export function violations(ledger: Ledger): string[] {
  const accepted = counted(ledger.accepted)
  const archived = counted(ledger.archived.map(({ id }) => id))
  const live = counted(ledger.live)
  const delivered = counted(ledger.deliveries.map(({ id, attempt }) => `${id}, attempt ${attempt}`))
  const found: string[] = []
  const first = (what: string, ids: Iterable<string>) => {
    const [one] = ids
    if (one !== undefined) found.push(`${what}: ${one}`)
  }
  const there = (id: string) => (archived.get(id) ?? 0) + (live.get(id) ?? 0)
  first(
    'lost',
    ledger.enqueued.filter((id) => there(id) === 0),
  )
  first(
    'there twice',
    ledger.enqueued.filter((id) => there(id) > 1),
  )
  first('settled twice', twice(accepted))
  first(
    'settled, but not archived',
    [...accepted.keys()].filter((id) => !archived.has(id)),
  )
  first(
    'archived, but nobody settled it',
    [...archived.keys()].filter((id) => !accepted.has(id)),
  )
  first('delivered twice', twice(delivered))
  return found
}

/** Where no lease can have run out: each message has one attempt, and is delivered once with it. */
export function deliveredAgain(ledger: Ledger): string[] {
  const again = ledger.deliveries.filter(({ attempt }) => attempt > 1).map(({ id }) => id)
  return [...again, ...twice(counted(ledger.deliveries.map(({ id }) => id)))]
}

function counted(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

const twice = (counts: Map<string, number>) => [...counts].filter(([, count]) => count > 1).map(([id]) => id)
