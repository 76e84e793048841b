// Messages that are due later.

import { describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('a delayed message', () => {
  test('is not delivered before it is due, and then it is', async () => {
    const queue = await it.newQueue()
    const consumer = it.pgqrs.consumer(queue)
    const stored = await it.pgqrs.producer(queue).enqueue('later', { delay: 300 })
    const delivered = await eventually(() => consumer.dequeue())
    expect(delivered.id).toBe(stored.id)
    expect(delivered.dequeuedAt!.getTime()).toBeGreaterThanOrEqual(stored.dueAt.getTime())
  })

  test.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    [1_234, 1_234],
    [0, 0],
  ] as const)('%s is due %d ms after it was enqueued', async (delay, ms) => {
    const queue = await it.newQueue()
    const { dueAt, enqueuedAt } = await it.pgqrs.producer(queue).enqueue(1, { delay })
    expect(dueAt.getTime() - enqueuedAt.getTime()).toBe(ms)
  })

  test('counts as delayed until it is due, and as pending from then on', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueueDelayed('later', '1h')
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ delayedCount: 1, pendingCount: 0 })
    await it.sql(`update pgqrs_messages set due_at = clock_timestamp() where queue_id = $1`, [
      (await it.admin.getQueue(queue)).id,
    ])
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ delayedCount: 0, pendingCount: 1 })
  })

  test('does not hold up what is ready behind it', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    await producer.enqueue('urgent, but tomorrow', { delay: '1d', priority: -10 })
    await producer.enqueue('now')
    expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toBe('now')
  })

  test.each(['5 minutes', '-1s', -1, Number.NaN, Number.POSITIVE_INFINITY, '101w0', 4e12, {}])(
    'with a delay of %s is refused, with the ways to write one',
    async (delay) => {
      const queue = await it.newQueue()
      await expect(it.pgqrs.producer(queue).enqueue(1, { delay: delay as number })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        message: expect.stringMatching(/^delay: /),
        hint: expect.stringContaining('Give'),
      })
    },
  )
})

describe('at', () => {
  test('makes the message due at that time, as a Date or as text', async () => {
    const queue = await it.newQueue()
    const at = new Date('2099-05-06T07:08:09.123Z')
    for (const given of [at, at.toISOString()])
      expect((await it.pgqrs.producer(queue).enqueue(1, { at: given })).dueAt).toEqual(at)
    expect(await it.pgqrs.consumer(queue).dequeue()).toBeNull()
  })

  test('in the past means now', async () => {
    const queue = await it.newQueue()
    const { dueAt, enqueuedAt } = await it.pgqrs.producer(queue).enqueue(1, { at: new Date(0) })
    expect(dueAt).toEqual(enqueuedAt)
  })

  test.each([new Date(Number.NaN), 'tomorrow', new Date(8.64e15), 5 as unknown as Date])(
    '%s is refused',
    async (at) => {
      const queue = await it.newQueue()
      await expect(it.pgqrs.producer(queue).enqueue(1, { at })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        message: expect.stringMatching(/^at: /),
      })
    },
  )

  test('together with delay is refused', async () => {
    const queue = await it.newQueue()
    const both = { delay: '1s', at: new Date() } as const
    await expect(it.pgqrs.producer(queue).enqueue(1, both)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })
})
