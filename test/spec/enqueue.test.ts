// Adding one message.

import { describe, expect, test } from 'vitest'
import { Producer } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('enqueue', () => {
  test('gives the message as it is stored', async () => {
    const queue = await it.newQueue()
    const message = await it.pgqrs.producer(queue).enqueue({ to: 'ada@example.com', n: 1 })
    expect(message).toMatchObject({
      id: expect.stringMatching(/^\d+$/),
      queueId: (await it.admin.getQueue(queue)).id,
      payload: { to: 'ada@example.com', n: 1 },
      headers: null,
      priority: 0,
      attempt: 0,
      givenBack: 0,
      maxAttempts: 5,
      leasedUntil: null,
      leasedBy: null,
      dequeuedAt: null,
      lastError: null,
    })
    expect(message).toEqual(await it.admin.getQueue(queue).then((known) => firstOf(known.id)))
  })

  test('gives the stored message even when the payload changes afterwards', async () => {
    const queue = await it.newQueue()
    const payload = { list: [1] }
    const headers = { tags: ['a'] }
    const message = await it.pgqrs.producer(queue).enqueue(payload, { headers })
    payload.list.push(2)
    headers.tags.push('b')
    expect(message.payload).toEqual({ list: [1] })
    expect(message.headers).toEqual({ tags: ['a'] })
  })

  test('takes its times from the database, not from this machine', async () => {
    const queue = await it.newQueue()
    const [before] = await it.sql<{ now: Date }>('select clock_timestamp() as now')
    const message = await it.pgqrs.producer(queue).enqueue(1)
    const [after] = await it.sql<{ now: Date }>('select clock_timestamp() as now')
    expect(message.enqueuedAt.getTime()).toBeGreaterThanOrEqual(before!.now.getTime())
    expect(message.enqueuedAt.getTime()).toBeLessThanOrEqual(after!.now.getTime())
    expect(message.dueAt).toEqual(message.enqueuedAt)
  })

  test('carries any JSON value as a payload, not objects alone', async () => {
    const queue = await it.newQueue()
    const values = [null, true, 0, 'text', [], {}, [[null]], '']
    for (const value of values) await it.pgqrs.producer(queue).enqueue(value)
    const messages = await it.pgqrs.consumer(queue).dequeueBatch()
    expect(messages.map(({ payload }) => payload)).toEqual(values)
  })

  test('delivers in the order of the calls, also of calls that were not awaited', async () => {
    const queue = await it.newQueue()
    const numbers = Array.from({ length: 500 }, (_, n) => n)
    const stored = await Promise.all(numbers.map((n) => it.pgqrs.producer(queue).enqueue(n)))
    expect(stored.map(({ payload }) => payload)).toEqual(numbers)
    const delivered = await it.pgqrs.consumer(queue).dequeueBatch(500)
    expect(delivered.map(({ payload }) => payload)).toEqual(numbers)
  })

  test('refuses one bad call among many at the same moment, and stores the others', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    const results = await Promise.allSettled([
      producer.enqueue('first'),
      producer.enqueue('later', { at: '+275760-01-01' }),
      producer.enqueue(undefined),
      producer.enqueue('last'),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    const delivered = await it.pgqrs.consumer(queue).dequeueBatch()
    expect(delivered.map(({ payload }) => payload)).toEqual(['first', 'last'])
  })

  test('names the queue that does not exist', async () => {
    await expect(it.pgqrs.producer('nowhere').enqueue(1)).rejects.toMatchObject({
      code: 'QUEUE_NOT_FOUND',
      message: expect.stringContaining("'nowhere'"),
      hint: expect.stringContaining('createQueue'),
    })
  })

  test('refuses a name that no queue can have, before it asks the database', () => {
    for (const name of ['', '-x', 'a b', 'ä', "x';--", 'x'.repeat(129)])
      expect(() => it.pgqrs.producer(name)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
  })

  test('refuses an option it does not know, and says which one was meant', async () => {
    const queue = await it.newQueue()
    // @ts-expect-error a misspelt option is an error for the type checker too
    await expect(it.pgqrs.producer(queue).enqueue(1, { prioritty: 1 })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringContaining('prioritty'),
      hint: expect.stringContaining('Did you mean priority?'),
    })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })

  test('works with a producer made from the pool, the queue and the configuration', async () => {
    const name = await it.newQueue()
    const producer = new Producer(it.admin.pool, await it.admin.getQueue(name), it.admin.config)
    const { id } = await producer.enqueue('made by hand')
    expect((await it.pgqrs.consumer(name).dequeue())?.id).toBe(id)
    expect(producer.queueName).toBe(name)
  })

  test('leaves other queues alone', async () => {
    const [one, other] = [await it.newQueue(), await it.newQueue()]
    await it.pgqrs.producer(one).enqueue('for one')
    expect(await it.pgqrs.consumer(other).dequeue()).toBeNull()
    expect((await it.pgqrs.consumer(one).dequeue())?.payload).toBe('for one')
  })
})

async function firstOf(queueId: string) {
  const { PgqrsMessages } = await import('../../src/index.js')
  return (await new PgqrsMessages(it.admin.pool).filterByFk(queueId))[0]
}
