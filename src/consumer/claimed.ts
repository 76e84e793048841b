// What a claim gives: a row for each run of messages with one priority, with an array for each of their fields.
import type { Row } from '../database/driver.js'
import type { Id } from '../words/id.js'
import type { Message, MessageHeaders } from '../words/message.js'

/** What most messages do not have, by id: an attempt that is not the first, headers, an error, attempts given back. */
type Details = Record<string, { a: number; h: MessageHeaders | null; e: string | null; g: number }>

/** A row of the statements `claim` and `claimMany`. */
export interface Claimed extends Row {
  queue_id: Id
  priority: number
  ids: Id[]
  /** One for each message, or one for all of them. */
  max_attempts: number[]
  /** The server's binary form of an array of times, in base64: what both sides are fastest with. */
  due: string
  /** The same; null where each was due when it was enqueued. */
  enqueued: string | null
  payloads: unknown[]
  /** How long the payloads are as text. */
  bytes: number
  details: Details | null
  leased_until: Date
  dequeued_at: Date
  walked: string
  /** There are more messages, but their payloads are too long for one claim. */
  cut: boolean
}

export const countOf = (claimed: readonly Claimed[]): number =>
  claimed.reduce((sum, { ids }) => sum + ids.length, 0)

/** Whether it claimed nothing because its turn did not come in time. */
export const isBusy = ([row]: readonly Claimed[]): boolean => row?.cut === true && row.ids.length === 0

/** The messages of a row, in the order of delivery. */
export function messagesOf<T>(claimed: Claimed, leasedBy: Id | null): Message<T>[] {
  const { ids, max_attempts: maxAttempts, details } = claimed
  const payloads = claimed.payloads as T[]
  const due = new Times(claimed.due)
  const enqueued = claimed.enqueued === null ? null : new Times(claimed.enqueued)
  const messages = new Array<Message<T>>(ids.length)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as Id
    const detail = details?.[id]
    const dueAt = due.at(i)
    messages[i] = {
      id,
      queueId: claimed.queue_id,
      payload: payloads[i] as T,
      headers: detail?.h ?? null,
      priority: claimed.priority,
      attempt: detail?.a ?? 1,
      givenBack: detail?.g ?? 0,
      maxAttempts: (maxAttempts.length === 1 ? maxAttempts[0] : maxAttempts[i]) as number,
      enqueuedAt: enqueued === null ? dueAt : enqueued.at(i),
      dueAt,
      leasedUntil: claimed.leased_until,
      leasedBy,
      dequeuedAt: claimed.dequeued_at,
      lastError: detail?.e ?? null,
    }
  }
  return messages
}

/** When the last message of a row became due. */
export const lastDueOf = ({ due, ids }: Claimed): Date => new Times(due).at(ids.length - 1)

/** Before the first: dimensions, nulls, type, length, lower bound; before each: its length. 32 bits each. */
const headBytes = 20
const lengthBytes = 4
const timeBytes = 8
const startOf2000 = Date.UTC(2000, 0)
const endOfTime = 8.64e15

/** Times as PostgreSQL sends an array of them in binary form: microseconds since 2000, 64 bits. */
class Times {
  readonly #bytes: Buffer
  #last = new Date(0)

  constructor(base64: string) {
    this.#bytes = Buffer.from(base64, 'base64')
  }

  /** What is finer than a millisecond is cut off; the ends of time are the ends of what a Date can be. */
  at(i: number): Date {
    const at = headBytes + i * (lengthBytes + timeBytes) + lengthBytes
    const high = this.#bytes.readInt32BE(at)
    const low = this.#bytes.readUInt32BE(at + 4)
    // 2^32 = 4,294,967 * 1,000 + 296, so that nothing is rounded.
    const ms = startOf2000 + high * 4_294_967 + Math.floor((high * 296 + low) / 1_000)
    // Those of one batch became due together.
    if (ms !== this.#last.getTime()) this.#last = new Date(Math.max(-endOfTime, Math.min(endOfTime, ms)))
    return this.#last
  }
}
