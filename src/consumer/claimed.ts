// What a claim gives: a row for each run of messages with one priority, with an array for each of their fields.
import type { Row } from '../database/driver.js'
import type { Id } from '../words/id.js'
import type { Message, MessageHeaders } from '../words/message.js'

/** Fields that most messages do not have, by id. */
type Details = Record<string, { h: MessageHeaders | null; e: string | null; g: number }>

/** A row of the statements `claim` and `claimMany`. */
export interface Claimed extends Row {
  queue_id: Id
  priority: number
  ids: Id[]
  attempts: number[]
  max_attempts: number[]
  /** Seconds since 1970, with microseconds. */
  due: number[]
  enqueued: number[] | null
  payloads: string
  details: Details | null
  leased_until: Date
  dequeued_at: Date
  walked: string
  /** There are more messages, but their payloads are too long for one claim. */
  cut: boolean
}

export const countOf = (claimed: readonly Claimed[]): number =>
  claimed.reduce((sum, { ids }) => sum + ids.length, 0)

/** The messages of a row, in the order of delivery. */
export function messagesOf<T>(claimed: Claimed, leasedBy: Id | null): Message<T>[] {
  const { ids, attempts, max_attempts: maxAttempts, due, enqueued, details } = claimed
  const payloads: T[] = JSON.parse(claimed.payloads)
  const messages = new Array<Message<T>>(ids.length)
  let dueAt = new Date(0)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as Id
    const detail = details?.[id]
    // Those of one batch became due together.
    if (i === 0 || due[i] !== due[i - 1]) dueAt = dateOf(due[i] as number)
    messages[i] = {
      id,
      queueId: claimed.queue_id,
      payload: payloads[i] as T,
      headers: detail?.h ?? null,
      priority: claimed.priority,
      attempt: attempts[i] as number,
      givenBack: detail?.g ?? 0,
      maxAttempts: maxAttempts[i] as number,
      enqueuedAt: enqueued === null ? dueAt : dateOf(enqueued[i] as number),
      dueAt,
      leasedUntil: claimed.leased_until,
      leasedBy,
      dequeuedAt: claimed.dequeued_at,
      lastError: detail?.e ?? null,
    }
  }
  return messages
}

/** The ends of time are the ends of what a Date can be; what is finer than a millisecond is cut off. */
export const dateOf = (seconds: number): Date =>
  Number.isFinite(seconds)
    ? new Date(Math.floor(Math.round(seconds * 1e6) / 1e3))
    : new Date(seconds < 0 ? -8.64e15 : 8.64e15)
