// What a message, an archived message, a queue and a worker are to a program.
import type { Id } from './id.js'

/** A small JSON object that travels beside the payload: trace ids, a tenant, a content type. */
export type MessageHeaders = { readonly [key: string]: unknown }

/** A message that is in its queue: ready, delayed, or leased. */
export interface Message<T = unknown> {
  readonly id: Id
  readonly queueId: Id
  readonly payload: T
  readonly headers: MessageHeaders | null
  /** Lower first; 0 unless the enqueue said otherwise. */
  readonly priority: number
  /** How often it was delivered. With the id, the proof that this delivery holds the message. */
  readonly attempt: number
  /** How many of these deliveries do not count: it was released, or redriven, after them. */
  readonly givenBack: number
  /** After so many attempts that count it becomes a dead letter. */
  readonly maxAttempts: number
  readonly enqueuedAt: Date
  /** When it was, or will be, due. */
  readonly dueAt: Date
  /** When the lease runs out; null when no attempt holds it. */
  readonly leasedUntil: Date | null
  /** The worker that leased it, where one was named. */
  readonly leasedBy: Id | null
  /** When it was last delivered; null before the first time. */
  readonly dequeuedAt: Date | null
  /** What the last failed attempt said. */
  readonly lastError: string | null
}

/** What a settle needs to know: the delivered message, or these two of its fields. */
export type HeldMessage = Pick<Message, 'id' | 'attempt'>

/** A message that was settled: `archived`, or `dead` when its attempts were used up or it was refused. */
export interface ArchivedMessage<T = unknown> {
  readonly id: Id
  readonly queueId: Id
  readonly payload: T
  readonly headers: MessageHeaders | null
  readonly priority: number
  readonly attempt: number
  readonly givenBack: number
  readonly maxAttempts: number
  readonly enqueuedAt: Date
  readonly dueAt: Date
  readonly dequeuedAt: Date | null
  readonly leasedBy: Id | null
  readonly lastError: string | null
  /** What its handler returned, where the worker was told to keep it. */
  readonly result: unknown
  readonly outcome: 'archived' | 'dead'
  readonly archivedAt: Date
  /** Who archived it, as the caller said. */
  readonly archivedBy: string | null
  /** Milliseconds from the last dequeue to the archiving; null if it was never dequeued. */
  readonly processingDuration: number | null
}

/** A queue, as it stands in the database. */
export interface QueueInfo {
  readonly id: Id
  readonly name: string
  /** Attempts of a message that does not say otherwise. */
  readonly maxAttempts: number
  /** What a worker does with a message whose handler succeeded. */
  readonly onSuccess: 'archive' | 'delete'
  /** Milliseconds for which its archived messages are kept at least; null: until they are purged. */
  readonly retention: number | null
  /** Milliseconds for which its dead letters are kept at least; null: until they are redriven or purged. */
  readonly deadRetention: number | null
  /** Since when nothing of it is delivered; null while it is. */
  readonly pausedAt: Date | null
  readonly createdAt: Date
}

export type WorkerState = 'ready' | 'suspended' | 'stopping' | 'stopped' | 'dead'

/** A worker's registration for one queue. */
export interface WorkerInfo {
  readonly id: Id
  readonly queueId: Id
  readonly name: string | null
  readonly hostname: string
  readonly pid: number | null
  readonly state: WorkerState
  readonly startedAt: Date
  readonly heartbeatAt: Date
  readonly stoppedAt: Date | null
}
