// What is measured, behind one face: pgqrs, its peers, and PostgreSQL without any of them. A scenario asks for no
// more than this, so that all systems do the same work. A system leaves out what it cannot do.
import type { Config } from '../index.js'

/** A message's payload, as every system gets it. */
export interface Payload {
  readonly to: string
  readonly note: string
  /** When it was enqueued, in the milliseconds of this process: latencies are measured with it. */
  readonly at?: number
  readonly n?: number
}

export interface WorkOptions {
  /** Handlers that run at once; left out, what the system's settings say. */
  concurrency?: number
  /** Serves so many queues with one worker. Default 1. */
  queues?: number
  /** A failed message is tried again after so many milliseconds. */
  retryMs?: number
}

export interface EnqueueOptions {
  /** Which of several queues, from 0. */
  queue?: number
  /** One priority for each of the batch. */
  priorities?: readonly number[]
}

export type Handler = (payload: Payload) => unknown

export interface Counters {
  commits: number | null
  statements: number | null
  /** Bytes of the write-ahead log, or of the append-only file. */
  wal: number | null
  /** Versions of rows that updates and deletes left behind, whether they were vacuumed since or not. */
  deadRows: number | null
}

export interface System {
  /** Makes what it needs; after that the others may be called. */
  prepare(queues?: number): Promise<void>
  /** One message, acknowledged. */
  enqueue?(payload: Payload): Promise<unknown>
  /** Many in one call, acknowledged together. */
  enqueueBatch?(payloads: readonly Payload[], options?: EnqueueOptions): Promise<unknown>
  /** Begins to call the handler for each message. */
  work?(handler: Handler, options?: WorkOptions): Promise<void>
  /** How many of so many enqueued messages are settled, and that acknowledged. */
  settled?(enqueued: number): Promise<number>
  /** Takes one message and gives what settles it; null when there is none. */
  dequeue?(): Promise<(() => Promise<unknown>) | null>
  /** Puts messages in without going through the system: the millions of a deep backlog. */
  fill?(what: Filling): Promise<void>
  /** Removes dead rows and counts the tables, so that each run begins with the same statistics. */
  tidy?(): Promise<void>
  /** What its server did, where that is not PostgreSQL. */
  counters?(): Promise<Counters>
  /** What only this system measures: a limit of the server or the disk. */
  limits?(scale: number, progress: (part: number) => void): Promise<Record<string, number>>
  close(): Promise<void>
}

export interface Filling {
  ready?: number
  /** Due in the hours to come. */
  delayed?: number
  /** Kept with the settled ones. */
  archived?: number
}

/** Where a system finds its server. */
export interface Place {
  readonly dsn: string
  /** The schema that pgqrs and the bare table are in. */
  readonly schema: string
  /** What else pgqrs is configured with there. */
  readonly config?: Config
  /** The port of Redis on this machine, for what needs one. */
  readonly redisPort?: number | null
  /** A folder on the server's disk, where that is on this machine. */
  readonly folder?: string | null
}

export type Maker = (place: Place) => Promise<System>

/** A payload whose JSON has about so many bytes. */
export function payloadOf(bytes: number): Payload {
  const bare = JSON.stringify({ to: 'ada@example.com', note: '' }).length
  // Not one letter over and over: what is stored would be compressed to nothing.
  const letters = 'the quick brown fox jumps over a lazy dog '
  let note = ''
  for (let n = 0; note.length < bytes - bare; n++)
    note += letters.slice(n % 40) + ((n * 2_654_435_761) % 9_973)
  return { to: 'ada@example.com', note: note.slice(0, Math.max(0, bytes - bare)) }
}
