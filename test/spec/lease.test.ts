// A dequeued message is one consumer's for a time, and ready again by itself when that runs out.

import { describe, expect, test } from 'vitest'
import { Consumer, PgqrsMessages } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 90 })
const lengthMs = (message: { leasedUntil: Date | null; dequeuedAt: Date | null } | null) =>
  Math.round((message!.leasedUntil!.getTime() - message!.dequeuedAt!.getTime()) / 1_000) * 1_000

async function oneMessage(options: Parameters<typeof it.newQueue>[0] = {}) {
  const queue = await it.newQueue(options)
  await it.pgqrs.producer(queue).enqueue('x')
  return { queue, consumer: it.pgqrs.consumer(queue, {}), other: it.pgqrs.consumer(queue, {}) }
}

describe('a lease', () => {
  test('is as long as the configuration says', async () => {
    const { consumer } = await oneMessage()
    expect(lengthMs(await consumer.dequeue())).toBe(90_000)
  })

  test('is as long as the consumer says, and as the call says before that', async () => {
    const { queue } = await oneMessage()
    await it.pgqrs.producer(queue).enqueue('y')
    const consumer = it.pgqrs.consumer(queue, { lease: '2m' })
    expect(lengthMs(await consumer.dequeue())).toBe(120_000)
    expect(lengthMs(await consumer.dequeue({ lease: '10m' }))).toBe(600_000)
  })

  test('keeps the message from every other consumer', async () => {
    const { consumer, other } = await oneMessage()
    expect(await consumer.dequeue()).not.toBeNull()
    expect(await other.dequeue()).toBeNull()
    expect(await consumer.dequeue()).toBeNull()
  })

  test('runs out by itself: the message is delivered again, as the next attempt', async () => {
    const { consumer, other } = await oneMessage()
    const first = await consumer.dequeue({ lease: 60 })
    const second = await eventually(() => other.dequeue())
    expect(second).toMatchObject({ id: first!.id, attempt: 2 })
    expect(second.dequeuedAt!.getTime()).toBeGreaterThanOrEqual(first!.leasedUntil!.getTime())
  })

  test('that ran out gives the message back in its old place', async () => {
    const { queue, consumer, other } = await oneMessage()
    await it.pgqrs.producer(queue).enqueue('behind it')
    await consumer.dequeue()
    await it.expireLeases(queue)
    expect((await other.dequeue())?.payload).toBe('x')
  })

  test('begins when the message is delivered, by the clock of the database', async () => {
    const { consumer } = await oneMessage()
    const [before] = await it.sql<{ now: Date }>('select clock_timestamp() as now')
    const message = await consumer.dequeue({ lease: '1m' })
    expect(message!.leasedUntil!.getTime()).toBeGreaterThanOrEqual(before!.now.getTime() + 60_000)
  })

  test('is longer after extendVisibility, by so much', async () => {
    const { consumer } = await oneMessage()
    const message = (await consumer.dequeue({ lease: '1m' }))!
    expect(await consumer.extendVisibility(message, '10m')).toBe(true)
    const { leasedUntil } = (await new PgqrsMessages(it.admin.pool).get(message.id))!
    expect(leasedUntil!.getTime()).toBe(message.leasedUntil!.getTime() + 600_000)
  })

  test('is longer after each of several extensions made at the same moment', async () => {
    const { consumer } = await oneMessage()
    const message = (await consumer.dequeue({ lease: '1m' }))!
    const answers = [1, 2, 3].map(() => consumer.extendVisibility(message, '10m'))
    expect(await Promise.all(answers)).toEqual([true, true, true])
    const { leasedUntil } = (await new PgqrsMessages(it.admin.pool).get(message.id))!
    expect(leasedUntil!.getTime()).toBe(message.leasedUntil!.getTime() + 1_800_000)
  })

  test('that ran out can be renewed, from now on, as long as nobody took the message', async () => {
    const { queue, consumer, other } = await oneMessage()
    const message = (await consumer.dequeue())!
    await it.expireLeases(queue)
    expect(await consumer.extendVisibility(message, '1h')).toBe(true)
    expect(await other.dequeue()).toBeNull()
  })

  test('cannot be lengthened by a consumer that lost the message', async () => {
    const { queue, consumer, other } = await oneMessage()
    const lost = (await consumer.dequeue())!
    await it.expireLeases(queue)
    const held = (await other.dequeue())!
    expect(await consumer.extendVisibility(lost, '1h')).toBe(false)
    expect(await it.pgqrs.producer(queue).extendVisibility(lost, '1h')).toBe(false)
    expect((await new PgqrsMessages(it.admin.pool).get(held.id))?.leasedUntil).toEqual(held.leasedUntil)
  })

  test.each([0, -1, Number.NaN, '0s', '5 minutes', 4e12])('of %s is refused', async (lease) => {
    const { consumer, queue } = await oneMessage()
    await expect(consumer.dequeue({ lease: lease as number })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringMatching(/^lease: /),
    })
    expect(() => it.pgqrs.consumer(queue, { lease: lease as number })).toThrow(/lease: /)
    expect((await it.admin.queueMetrics(queue)).pendingCount).toBe(1)
  })
})

describe("a producer's extendVisibility", () => {
  test('puts off a message that nobody holds', async () => {
    const { queue, consumer } = await oneMessage()
    const { id } = (await it.pgqrs.queue(queue).enqueue('y', { priority: -1 }))!
    expect(await it.pgqrs.producer(queue).extendVisibility(id, '1h')).toBe(true)
    expect((await consumer.dequeue())?.payload).toBe('x')
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ delayedCount: 1 })
  })

  test('lengthens the lease of whoever holds the message', async () => {
    const { queue, consumer } = await oneMessage()
    const message = (await consumer.dequeue({ lease: '1m' }))!
    expect(await it.pgqrs.producer(queue).extendVisibility(message.id, '1h')).toBe(true)
    expect(await it.pgqrs.producer(queue).extendVisibility(message, '1h')).toBe(true)
    const { leasedUntil } = (await new PgqrsMessages(it.admin.pool).get(message.id))!
    expect(leasedUntil!.getTime()).toBe(message.leasedUntil!.getTime() + 7_200_000)
  })

  test('gives false where there is no such message in its queue', async () => {
    const { queue } = await oneMessage()
    const elsewhere = await it.pgqrs.producer(await it.newQueue()).enqueue('z')
    expect(await it.pgqrs.producer(queue).extendVisibility(elsewhere.id, '1h')).toBe(false)
    expect(await it.pgqrs.producer(queue).extendVisibility('9000000000000000000', '1h')).toBe(false)
  })
})

describe('dequeue', () => {
  test('of an empty queue is null', async () => {
    expect(await it.pgqrs.consumer(await it.newQueue()).dequeue()).toBeNull()
  })

  test('by type takes only payloads of that type, in order, and leaves the others ready', async () => {
    const queue = await it.newQueue()
    const payloads = [
      { type: 'b' },
      { type: 'a', n: 1 },
      { message_type: 'a' },
      { type: 'b', message_type: 'a' },
      'a',
      ['a'],
      null,
    ]
    await it.pgqrs.producer(queue).batchEnqueue(payloads)
    const consumer = it.pgqrs.consumer(queue)
    const taken = await consumer.dequeueBatch(10, { type: 'a' })
    expect(taken.map(({ payload }) => payload)).toEqual([{ type: 'a', n: 1 }, { message_type: 'a' }])
    expect(await consumer.archive(taken[0]!.id)).toBe(true)
    expect(await consumer.dequeue({ type: 'a' })).toBeNull()
    expect((await it.admin.queueMetrics(queue)).pendingCount).toBe(5)
  })

  test('shows which worker leased the message', async () => {
    const { queue } = await oneMessage()
    const worker = await it.admin.workers.register(queue, { name: 'w' })
    const consumer = new Consumer(it.admin.pool, queue, it.admin.config, { workerId: worker.id })
    expect((await consumer.dequeue())?.leasedBy).toBe(worker.id)
  })

  test('refuses an option it does not know', async () => {
    const { consumer } = await oneMessage()
    // @ts-expect-error it is called lease
    await expect(consumer.dequeue({ leese: '5s' })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringContaining('Did you mean lease?'),
    })
  })
})
