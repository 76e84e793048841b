// What was enqueued, as a list, and the assertion on it. Throws node's AssertionError, so every test runner shows it.
import { AssertionError } from 'node:assert'
import type { Message, Pgqrs, QueueReference } from '../index.js'
import { PgqrsMessages } from '../tables/index.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { definitionOf } from '../words/queue.js'
import { differences, show } from './partial.js'

/** A live message, and how long after its enqueue it is due. */
export interface EnqueuedMessage<Payload = unknown> extends Message<Payload> {
  /** Milliseconds from the enqueue to the time at which it is due: 0 without a delay. */
  readonly delayMs: number
}

export interface Expected {
  /** So many messages match, no more and no fewer. Default: at least one. */
  times?: number
  /** Due so long after its enqueue; 0 for at once. */
  delay?: Duration
  priority?: number
  /** Some of its headers. */
  headers?: Record<string, unknown>
}

/** `at` and SQL's `pgqrs_enqueue` take their time a moment before the message has its own. */
const delayToleranceMs = 50
const shownAtMost = 20
const page = 10_000

/**
 * The live messages of a queue (ready, delayed or leased), in the order in which they were enqueued. Settled ones
 * are in the archive: `pgqrs.queue(name).archiveList()`.
 * @throws PgqrsError QUEUE_NOT_FOUND
 */
export async function enqueued<Input = unknown, Output = Input>(
  pgqrs: Pgqrs<unknown>,
  queue: QueueReference<Input, Output>,
): Promise<EnqueuedMessage<Input>[]> {
  const { id } = await pgqrs.admin.getQueue(nameOf(queue))
  const table = new PgqrsMessages(pgqrs.pool)
  const messages: Message[] = []
  for (let rows = 0; rows === messages.length; rows += page)
    messages.push(...(await table.filterByFk(id, { limit: page, offset: rows })))
  return messages
    .sort((a, b) => Number(BigInt(a.id) - BigInt(b.id)))
    .map((message) => ({
      ...(message as Message<Input>),
      delayMs: message.dueAt.getTime() - message.enqueuedAt.getTime(),
    }))
}

/**
 * Asserts that the queue has a live message with such a payload.
 * @param payload what must be in the payload: of objects the given keys, of arrays every element; a RegExp for a
 *   text, and matchers such as `expect.any(String)`, stand where a value stands
 * @returns the messages that match
 * @throws AssertionError that lists what is there; PgqrsError QUEUE_NOT_FOUND, ARGUMENT_INVALID
 */
export async function expectEnqueued<Input = unknown, Output = Input>(
  pgqrs: Pgqrs<unknown>,
  queue: QueueReference<Input, Output>,
  payload: unknown,
  options: Expected = {},
): Promise<EnqueuedMessage<Input>[]> {
  checkOptions(options, ['times', 'delay', 'priority', 'headers'], 'expectEnqueued')
  const times = options.times === undefined ? undefined : wholeNumber(options.times, 'times', 0, 1_000_000)
  const mismatch = mismatchOf(payload, options)
  const messages = await enqueued(pgqrs, queue)
  const matching = messages.filter((message) => mismatch(message).length === 0)
  if (times === undefined ? matching.length > 0 : matching.length === times) return matching
  throw new AssertionError({
    message: report(nameOf(queue), payload, options, messages, mismatch),
    actual: messages.map((message) => message.payload),
    expected: times === undefined ? [payload] : Array.from({ length: Math.min(times, 100) }, () => payload),
    operator: 'expectEnqueued',
    stackStartFn: expectEnqueued,
  })
}

type Mismatch = (message: EnqueuedMessage) => string[]

function mismatchOf(payload: unknown, { delay, priority, headers }: Expected): Mismatch {
  const delayMs = delay === undefined ? undefined : durationMs(delay, 'delay')
  const compare = (message: EnqueuedMessage) => [
    ...differences(message.payload, payload),
    ...(delayMs !== undefined && Math.abs(message.delayMs - delayMs) > delayToleranceMs
      ? [`delay: ${message.delayMs} ms instead of ${delayMs} ms`]
      : []),
    ...(priority === undefined ? [] : differences(message.priority, priority, 'priority')),
    ...(headers === undefined ? [] : differences(message.headers ?? {}, headers, 'headers')),
  ]
  return (message) => {
    try {
      return compare(message)
    } catch (cause) {
      throw new PgqrsError('ARGUMENT_INVALID', 'expectEnqueued: what is expected cannot be compared.', {
        hint: 'Give plain data, regular expressions, or matchers such as expect.any(String).',
        cause,
      })
    }
  }
}

function report(
  queue: string,
  payload: unknown,
  { times, ...rest }: Expected,
  messages: readonly EnqueuedMessage[],
  mismatch: Mismatch,
): string {
  const wanted = times === undefined ? 'a message' : times === 1 ? '1 message' : `${times} messages`
  const further = Object.entries(rest).flatMap(([name, value]) =>
    value === undefined ? [] : [`, ${name} ${show(value)}`],
  )
  const matching = messages.filter((message) => mismatch(message).length === 0).length
  const lines = [
    `Expected ${wanted} in '${queue}' with ${show(payload)}${further.join('')}.`,
    messages.length === 0 ? 'The queue is empty.' : `${matching} of its ${messages.length} messages match:`,
  ]
  for (const message of messages.slice(0, shownAtMost)) {
    const found = mismatch(message)
    lines.push(`  ${found.length === 0 ? '=' : '-'} ${show(message.payload)}${about(message)}`)
    lines.push(...found.map((one) => `      ${one}`))
  }
  if (messages.length > shownAtMost) lines.push(`  and ${messages.length - shownAtMost} more`)
  return lines.join('\n')
}

function about({ delayMs, priority, headers, attempt }: EnqueuedMessage): string {
  const facts = [
    ...(delayMs === 0 ? [] : [`delay ${delayMs} ms`]),
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...(headers === null ? [] : [`headers ${show(headers)}`]),
    ...(attempt === 0 ? [] : [`attempt ${attempt}`]),
  ]
  return facts.length === 0 ? '' : ` (${facts.join(', ')})`
}

const nameOf = (queue: QueueReference<never, never> | QueueReference): string =>
  definitionOf(queue as QueueReference).name
