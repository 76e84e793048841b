// A claim of many messages gives each of them whole, in order, and no more of them than fit in memory.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PgqrsMessages } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec()

/** A message as somebody may have enqueued, failed and released it before. */
const anyMessage = fc.record({
  payload: fc.jsonValue({ maxDepth: 3 }),
  priority: fc.integer({ min: -2, max: 2 }),
  headers: fc.option(fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 })),
  lastError: fc.option(fc.string().map((text) => text.replaceAll('\0', ''))),
  givenBack: fc.integer({ min: 0, max: 3 }),
  attempt: fc.constantFrom(0, 0, 3, 6),
  maxAttempts: fc.constantFrom(7, 7, 7, 1_000),
  due: fc.oneof(
    fc.constantFrom(
      '2026-01-31 12:00:00.123456Z',
      '1999-12-31 23:59:59.999999Z',
      '1969-12-31 23:59:59.9995Z',
      '1066-10-14 09:00:00.000001Z',
      '-infinity',
    ),
    fc.integer({ min: 0, max: 1e12 }).map((ms) => new Date(ms).toISOString()),
  ),
  enqueued: fc.option(
    fc.constantFrom('-infinity', 'infinity', '9999-12-31 23:59:59.999Z', '2000-01-01 00:00:00Z'),
  ),
})

test('every field of a message is what its row says, whatever the message, in a batch of any', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyMessage, { minLength: 1, maxLength: 20 }), async (messages) => {
      const queue = await it.newQueue()
      const { id: queueId } = await it.admin.getQueue(queue)
      await it.sql(
        `insert into pgqrs_messages
           (queue_id, payload, priority, headers, last_error, given_back, attempt, max_attempts, due_at, enqueued_at)
         select $1, e->'payload', (e->>'priority')::int, nullif(e->'headers', 'null'), e->>'lastError',
           (e->>'givenBack')::int, (e->>'attempt')::int, (e->>'maxAttempts')::int,
           (e->>'due')::timestamptz, coalesce(e->>'enqueued', e->>'due')::timestamptz
         from jsonb_array_elements($2::jsonb) e`,
        [queueId, JSON.stringify(messages)],
      )
      const table = new PgqrsMessages(it.pgqrs.pool)
      const delivered = await it.pgqrs.consumer(queue).dequeueBatch(20)
      expect(delivered).toHaveLength(messages.length)
      for (const message of delivered) expect(message).toEqual(await table.get(message.id))
    }),
    { numRuns: 40 },
  )
})

describe('of more messages than one answer holds', () => {
  test('a claim gives all that was asked for, in order', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    const later = await producer.batchEnqueue(Array(1_500).fill(0), { priority: 1 })
    const first = await producer.batchEnqueue(Array(2_200).fill(0))
    const delivered = await it.pgqrs.consumer(queue).dequeueBatch(3_600)
    const ids = [...first, ...later].map(({ id }) => id)
    expect(delivered.map(({ id }) => id)).toEqual(ids.slice(0, 3_600))
  })

  test('one whose attempts are used up is left out, and the others take its place', async () => {
    const queue = await it.newQueue({ maxAttempts: 1 })
    await it.pgqrs.producer(queue).batchEnqueue(Array(30).fill(0))
    await it.pgqrs.consumer(queue).dequeueBatch(10)
    await it.expireLeases(queue)
    expect(await it.pgqrs.consumer(queue).dequeueBatch(20)).toHaveLength(20)
    expect(await it.pgqrs.consumer(queue).dequeue()).toBeNull()
    expect(await it.admin.deadLetters.count(queue)).toBe(10)
  })
})

describe('of long payloads', () => {
  // Of 3 MB each, and one that is longer than what is claimed together.
  const megabytes = [3, 3, 20, 3, 3, 3, 3, 3, 3, 3]
  const fill = async (compressible: boolean) => {
    const queue = await it.newQueue()
    const text = (length: number) => (compressible ? 'x'.repeat(length) : randomText(length))
    for (const [n, size] of megabytes.entries())
      await it.pgqrs.producer(queue, { validation: { maxPayloadBytes: 64e6 } }).enqueue({
        n,
        text: text(size * 1e6),
      })
    return queue
  }

  test.each([
    ['of which the server stores little', true],
    ['of which the server stores all', false],
  ])('a claim takes as many as fit in about 16 MB, and one at least (%s)', async (_, compressible) => {
    const queue = await fill(compressible)
    const consumer = it.pgqrs.consumer(queue)
    const sizes: number[][] = []
    for (;;) {
      const delivered = await consumer.dequeueBatch(100)
      if (delivered.length === 0) break
      sizes.push(delivered.map(({ payload }) => Math.round((payload as { text: string }).text.length / 1e6)))
    }
    expect(sizes).toEqual([[3, 3], [20], [3, 3, 3, 3, 3], [3, 3]])
  })

  test('a worker drains them without waiting for anything between the claims', async () => {
    const queue = await fill(true)
    const seen: number[] = []
    const handler = (message: { payload: unknown }) => {
      seen.push((message.payload as { n: number }).n)
    }
    await using worker = it.pgqrs.worker(queue, handler, {
      pollInterval: '1m',
      listen: false,
      concurrency: 100,
    })
    await eventually(() => worker.counters.succeeded === megabytes.length)
    expect(seen.sort((a, b) => a - b)).toEqual([...megabytes.keys()])
  })
})

function randomText(length: number): string {
  let text = ''
  while (text.length < length) text += Math.random().toString(36).slice(2)
  return text.slice(0, length)
}
