// What the judge is given: the history of every process, what the database wrote down of each message, and what is
// in the tables at the end. Nothing of it is asked for while the judge thinks.

import type { UnexpectedEnd } from '../crew.js'
import type { ProgramHistory } from '../history.js'
import type { FaultFamily, PlannedFault } from '../plan.js'
import type { FinalMessage, Lane, Offers } from '../system.js'

/** What happened to a message, written in the transaction in which it happened; times in ms by the database's clock. */
export interface AuditEvent {
  readonly seq: number
  readonly at: number
  /** When its statement began. */
  readonly beganAt: number
  readonly what: 'enqueued' | 'claimed' | 'renewed' | 'released' | 'failed' | 'left' | 'touched'
  readonly lane: Lane | null
  readonly id: string
  readonly key: string | null
  readonly attempt: number
  /** The lease that was in the row before. */
  readonly heldUntil: number | null
  readonly until: number | null
  readonly holder: string | null
  readonly session: number
  readonly priority: number | null
  readonly dueAt: number | null
  /** Of the ordered lane: its transaction, and the snapshot that it saw. */
  readonly xact: string | null
  readonly seen: string | null
}

/** A fault that struck; times of the machine, in ms. */
export interface FaultRecord {
  readonly n: number
  readonly family: FaultFamily
  readonly planned: PlannedFault
  readonly beganAt: number
  readonly endedAt: number
  readonly did: string
  readonly counts: Readonly<Record<string, number>>
  readonly holders: readonly string[]
  /** The programs that it strikes; undefined: all. */
  readonly programs: readonly string[] | undefined
  /** Why it could not strike. */
  readonly failed: string | undefined
}

export interface Evidence {
  readonly system: string
  readonly offers: Offers
  readonly seed: number
  /** What a claim asks for, by lane. */
  readonly leaseMs: Readonly<Record<Lane, number>>
  readonly maxAttempts: number
  /** What a recovery may take beside the lease. */
  readonly boundMs: number
  readonly families: readonly FaultFamily[]
  readonly skipped: readonly { family: FaultFamily; why: string }[]
  readonly faults: readonly FaultRecord[]
  readonly history: readonly ProgramHistory[]
  readonly unexpected: readonly UnexpectedEnd[]
  readonly audit: readonly AuditEvent[]
  readonly finals: readonly FinalMessage[]
  readonly orders: readonly string[]
  readonly effects: readonly { id: string; attempt: number; key: string }[]
  /** The database's clock is that of the machine plus so many ms. */
  readonly clockOffsetMs: number
  /** Of the machine: when the load began and ended, and when no more was waited for. */
  readonly load: { readonly beganAt: number; readonly endedAt: number; readonly drainedAt: number }
}
