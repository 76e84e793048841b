// Collects what the judge is given, when all is over.

import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Database } from '../database/database.js'
import type { Row } from '../database/driver.js'
import type { UnexpectedEnd } from './crew.js'
import { readHistory } from './history.js'
import type { AuditEvent, Evidence, FaultRecord } from './judge/evidence.js'
import type { ChaosSettings } from './options.js'
import type { FaultFamily } from './plan.js'
import type { Place, System } from './system.js'

interface Collected {
  settings: ChaosSettings
  system: System
  place: Place
  families: readonly FaultFamily[]
  skipped: Evidence['skipped']
  faults: readonly FaultRecord[]
  /** The folder. */
  history: string
  unexpected: readonly UnexpectedEnd[]
  clockOffsetMs: number
  handLeaseMs: number
  maxAttempts: number
  load: Evidence['load']
}

const page = 20_000

export async function evidenceOf(collected: Collected): Promise<Evidence> {
  const { settings, system, place, handLeaseMs, history, ...rest } = collected
  const { seed, leaseMs, boundMs } = settings
  const database = Database.of(place.pool, { schema: place.schema })
  const orders = await database.run('chaosOrders')
  const effects = await database.run('chaosEffects')
  return {
    ...rest,
    system: system.name,
    offers: system.offers,
    seed,
    leaseMs: { work: leaseMs, slow: leaseMs, hand: handLeaseMs, ordered: handLeaseMs },
    boundMs,
    history: readHistory(history),
    audit: await auditOf(database),
    finals: await system.finals(place),
    orders: orders.map(({ key }) => key),
    effects: effects.map(({ id, attempt, key }) => ({ id, attempt, key })),
  }
}

async function auditOf(database: Database): Promise<AuditEvent[]> {
  const events: AuditEvent[] = []
  for (let after = '0'; ; ) {
    const rows = await database.run('chaosAudit', [after, page])
    for (const row of rows) events.push(eventOf(row))
    if (rows.length < page) return events
    after = rows[rows.length - 1]?.seq
  }
}

const eventOf = (row: Row): AuditEvent => ({
  seq: Number(row.seq),
  at: row.at,
  beganAt: row.began_at,
  what: row.what,
  lane: row.queue,
  id: row.id,
  key: row.key,
  attempt: row.attempt,
  heldUntil: row.held_until,
  until: row.until,
  holder: row.holder,
  session: row.session,
  priority: row.priority,
  dueAt: row.due_at,
  xact: row.xact,
  seen: row.seen,
})

/** What the judge was given beside the history, for those who want to look: a line for each event, and the rest. */
export function keepEvidence(folder: string, { audit, history: _, ...rest }: Evidence): void {
  const file = openSync(join(folder, 'audit.ndjson'), 'w')
  for (let from = 0; from < audit.length; from += page) {
    const lines = audit.slice(from, from + page).map((event) => `${JSON.stringify(event)}\n`)
    writeSync(file, lines.join(''))
  }
  closeSync(file)
  writeFileSync(join(folder, 'evidence.json'), JSON.stringify(rest, null, 1))
}
