// The order of delivery, as a property: by priority, then by the time at which a message became due, then by id.

import fc from 'fast-check'
import { type Message, PgqrsMessages } from 'pgqrs'
import { expect, test } from 'vitest'
import { breakFunction } from '../harness/broken.js'
import { eventually } from '../harness/eventually.js'
import { type OwnQueue, ownQueue } from '../harness/own-queue.js'

interface Row {
  id: string
  priority: number
  /** Microseconds: a Date would cut them off, and with them the order of what was enqueued at once. */
  due: string
}

const hourMs = 3_600_000

/** Some delays lie an hour and more ahead, and stay there; the others are over when the first claim is made. */
const arrival = fc.record({
  priority: fc.constantFrom(-2_147_483_648, -1, 0, 0, 0, 1, 7, 2_147_483_647),
  hoursDelay: fc.constantFrom(0, 0, 0, 1, 2, 48),
  together: fc.integer({ min: 1, max: 4 }),
})
const scene = fc.record({
  arrivals: fc.array(arrival, { minLength: 1, maxLength: 40 }),
  takes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
  hours: fc.constantFrom(0, 1, 3),
})

/** @throws when a message comes out of its turn */
async function deliversInOrder(own: OwnQueue, runs: number): Promise<void> {
  const messages = new PgqrsMessages(own.pgqrs.pool)
  const property = fc.asyncProperty(scene, async ({ arrivals, takes, hours }) => {
    await own.pgqrs.admin.purgeQueue(own.queue)
    const producer = own.pgqrs.producer(own.queue)
    for (const { priority, hoursDelay, together } of arrivals)
      await producer.batchEnqueue(Array(together).fill({}), { priority, delay: hoursDelay * hourMs })
    await own.sql(`update pgqrs_messages set due_at = due_at - $1 * interval '1 hour'`, [hours])
    const due = await own.sql<Row>(
      `select id, priority, to_char(due_at, 'YYYYMMDDHH24MISSUS') as due from pgqrs_messages
       where due_at <= clock_timestamp()`,
    )
    const expected = due.sort(byTurn).map(({ id }) => id)
    const consumer = own.pgqrs.consumer(own.queue, {})
    const taken: Message[] = []
    for (const count of takes) taken.push(...(await consumer.dequeueBatch(count, { lease: '10m' })))
    for (let next = await consumer.dequeue(); next !== null; next = await consumer.dequeue()) taken.push(next)
    expect(taken.map(({ id }) => id)).toEqual(expected)
    expect(await messages.count()).toBe(arrivals.reduce((sum, { together }) => sum + together, 0))
  })
  await fc.assert(property, { numRuns: runs, endOnFailure: true })
}

function byTurn(a: Row, b: Row): number {
  if (a.priority !== b.priority) return a.priority - b.priority
  if (a.due !== b.due) return a.due < b.due ? -1 : 1
  return BigInt(a.id) < BigInt(b.id) ? -1 : 1
}

test('one consumer gets all that is due in order, within a batch and from batch to batch', async () => {
  await deliversInOrder(await ownQueue(), 40)
})

test.each([
  ['the priority', 'order by m.priority limit 1', 'order by m.priority desc limit 1'],
  ['the time at which a message became due', 'order by m.due_at, m.id', 'order by m.id'],
  ['the id, last', 'order by m.due_at, m.id', 'order by m.due_at, m.id desc'],
  ['that delayed messages are not due', 'and m.due_at <= v_now', ''],
])('claims that forget %s are found out', async (_, part, by) => {
  const own = await ownQueue()
  await breakFunction(own.directDsn, 'pgqrs_claim_batch', part, by)
  await expect(deliversInOrder(own, 40)).rejects.toThrow()
})

test('so it is while others hold thousands of messages before them, and what is more urgent is not overlooked', async () => {
  const own = await ownQueue()
  const producer = own.pgqrs.producer(own.queue)
  const ids: string[] = []
  for (const priority of [0, 1, 2])
    ids.push(...(await producer.batchEnqueue(Array(3_000).fill({}), { priority })).map(({ id }) => id))
  await own.pgqrs.consumer(own.queue, {}).dequeueBatch(7_000, { lease: '10m' })
  const consumer = own.pgqrs.consumer(own.queue)
  const taken: Message[] = []
  while (taken.length < 1_000) taken.push(...(await consumer.dequeueBatch(10, { lease: '10m' })))
  expect(taken.map(({ id }) => id)).toEqual(ids.slice(7_000, 8_000))

  const urgent = await producer.enqueue({}, { priority: -1 })

  const next = async () => (await consumer.dequeue({ lease: '10m' }))?.id === urgent.id
  await eventually(next, { timeoutMs: 3_000, everyMs: 1 })
})
