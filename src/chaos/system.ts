// What a queue has to show so that it can be put under faults and judged: a thin adapter each. systems/pgqrs.ts is
// ours; others are judged by the same rules (see docs/chaos.md).

import type pg from 'pg'
import type { Told } from './history.js'
import type { FaultFamily } from './plan.js'

/** What a handler does with a message. */
export type Deed = 'succeed' | 'throw once' | 'throw' | 'overtime' | 'long' | 'tx' | 'tx throws once'

/** The queue a message is in: workers serve the first two, consumers by hand the others. */
export type Lane = 'work' | 'slow' | 'hand' | 'ordered'

export interface Payload {
  /** Names the message wherever it is seen. */
  readonly key: string
  readonly in: Lane
  readonly does: Deed
  /** How long a handler takes. */
  readonly ms: number
}

export interface Entry {
  readonly payload: Payload
  readonly delayMs?: number
  readonly priority?: number
}

/** What the judge may ask of it. What a system does not promise is not held against it, but the report says so. */
export interface Offers {
  /** A handler's writes and the settle in one commit. */
  readonly handlerTransactions: boolean
  /** Dequeue and settle by hand. */
  readonly byHand: boolean
  /** Leases that last as long as was asked for, by the database's clock. */
  readonly leases: boolean
  /** Dead letters that keep their error. */
  readonly deadLetters: boolean
  /** What is settled stays to be seen. */
  readonly archive: boolean
}

/** A message as the tables have it at the end. */
export interface FinalMessage {
  readonly id: string
  readonly key: string | null
  readonly attempt: number
  /** The deliveries that count against the limit. */
  readonly counted: number
  readonly maxAttempts: number
  readonly state: 'live' | 'archived' | 'dead'
  readonly lastError: string | null
}

export interface Place {
  /** Connections that no fault strikes but those of the server itself. */
  readonly pool: pg.Pool
  readonly dsn: string
  /** Where the harness keeps its own tables; chaos_audit among them. */
  readonly schema: string
}

export interface System {
  readonly name: string
  readonly offers: Offers
  /** Why a family of faults says nothing about it. */
  cannot?(family: FaultFamily): string | undefined
  /** Makes its tables and queues, and the triggers that write chaos_audit. */
  install(place: Place, settings: SystemSettings): Promise<void>
  /** In a process of its own. */
  open(options: OpenOptions): Promise<SystemClient>
  /** How many messages wait or run. */
  left(place: Place): Promise<number>
  finals(place: Place): Promise<FinalMessage[]>
}

export interface SystemSettings {
  readonly leaseMs: number
  readonly handLeaseMs: number
  readonly maxAttempts: number
}

export interface OpenOptions extends SystemSettings {
  /** A pool whose calls end in time, with a listener for its errors. */
  readonly pool: pg.Pool
  readonly schema: string
  /** Calls that take longer are given up: nobody knows then what came of them. */
  readonly callMs: number
  /** For systems that open connections themselves. */
  readonly dsn: string
  /** Goes past a pooler; equal to `dsn` where there is none. */
  readonly listenDsn: string
  readonly application: string
}

export interface Job {
  readonly id: string
  readonly attempt: number
  readonly payload: Payload
  readonly signal: AbortSignal
  /** Only where the system offers it. */
  tx?(work: (client: pg.ClientBase) => Promise<void>): Promise<void>
}

export interface WorkSettings {
  readonly name: string
  readonly concurrency: number
  readonly timeoutMs: number
  readonly slowTimeoutMs: number
  handle(job: Job): Promise<void>
  /** What came of an attempt. */
  told(id: string, attempt: number, how: Told): void
  trouble(error: unknown): void
}

export interface Working {
  /** What its leases are held by, as chaos_audit has it; empty where that cannot be known. */
  readonly holders: readonly string[]
  stop(): Promise<void>
}

export interface Held {
  readonly id: string
  readonly attempt: number
  readonly payload: Payload
}

export interface SystemClient {
  /** @param tx a client inside the caller's transaction. @returns the ids, in order */
  enqueue(entries: readonly Entry[], tx?: pg.ClientBase): Promise<string[]>
  work(settings: WorkSettings): Promise<Working>
  /** Only where the system offers it. */
  take?(lane: Lane, count: number, leaseMs: number): Promise<Held[]>
  settle?(lane: Lane, held: Held, how: 'archive' | 'delete' | 'release' | 'fail'): Promise<Told>
  close(): Promise<void>
}
