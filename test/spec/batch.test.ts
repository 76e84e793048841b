// Adding and taking many at once.

import { describe, expect, test } from 'vitest'
import { spec } from '../harness/spec.js'

const it = spec({ defaultMaxBatchSize: 7 })
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('batchEnqueue', () => {
  test('gives the stored messages in the order of the payloads, with rising ids', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).batchEnqueue(upTo(2_000).map((n) => ({ n })))
    expect(stored.map(({ payload }) => (payload as { n: number }).n)).toEqual(upTo(2_000))
    const ids = stored.map(({ id }) => BigInt(id))
    expect(ids.every((id, at) => at === 0 || id > ids[at - 1]!)).toBe(true)
  })

  test('gives each message the options of the call', async () => {
    const queue = await it.newQueue()
    const options = { priority: 3, headers: { trace: 'abc' }, maxAttempts: 2, delay: '1h' } as const
    const stored = await it.pgqrs.producer(queue).batchEnqueue(['a', 'b'], options)
    for (const message of stored)
      expect(message).toMatchObject({ priority: 3, headers: { trace: 'abc' }, maxAttempts: 2 })
    expect((await it.admin.queueMetrics(queue)).delayedCount).toBe(2)
  })

  test('refuses the whole batch for one bad payload, with its index and the path to the trouble', async () => {
    const queue = await it.newQueue()
    const batch = [{ ok: 1 }, { deep: [1, { bad: Number.NaN }] }, { worse: undefined }]
    await expect(it.pgqrs.producer(queue).batchEnqueue(batch)).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
      message: expect.stringContaining('payloads[1].deep[1].bad'),
      details: { index: 1, path: 'payloads[1].deep[1].bad' },
    })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })

  test('of nothing is nothing', async () => {
    const queue = await it.newQueue()
    expect(await it.pgqrs.producer(queue).batchEnqueue([])).toEqual([])
  })

  test('refuses what is no array', async () => {
    const queue = await it.newQueue()
    await expect(it.pgqrs.producer(queue).batchEnqueue('text' as unknown as [])).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })

  test('of more than 100,000 messages is refused with what to do', async () => {
    const queue = await it.newQueue()
    await expect(it.pgqrs.producer(queue).batchEnqueue(new Array(100_001).fill(1))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringContaining('several batches'),
    })
  })
})

describe('dequeueBatch', () => {
  test('takes the configured number when the call names none', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue(upTo(10))
    expect(await it.pgqrs.consumer(queue).dequeueBatch()).toHaveLength(7)
    expect(await it.pgqrs.consumer(queue).dequeueBatch()).toHaveLength(3)
    expect(await it.pgqrs.consumer(queue).dequeueBatch()).toEqual([])
  })

  test('takes what there is when there is less than was asked for', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue(upTo(3))
    expect(await it.pgqrs.consumer(queue).dequeueBatch(10_000)).toHaveLength(3)
  })

  test('gives a message to one of many that ask at the same moment', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue(upTo(400))
    const consumers = upTo(8).map(() => it.pgqrs.consumer(queue, {}))
    const taken = (
      await Promise.all(consumers.map((consumer) => consumer.dequeueBatch(50, { lease: '1m' })))
    ).flat()
    expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length)
    const rest = await it.pgqrs.consumer(queue).dequeueBatch(400)
    expect(taken.length + rest.length).toBe(400)
  })

  test.each([0, -1, 1.5, Number.NaN, 10_001, '3'])('refuses %s as a count', async (count) => {
    const queue = await it.newQueue()
    await expect(it.pgqrs.consumer(queue).dequeueBatch(count as number)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringContaining('count'),
    })
  })

  test('of a queue that does not exist names it', async () => {
    await expect(it.pgqrs.consumer('no_such_queue').dequeueBatch()).rejects.toMatchObject({
      code: 'QUEUE_NOT_FOUND',
      message: expect.stringContaining("'no_such_queue'"),
    })
  })
})
