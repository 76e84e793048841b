// Priority, and the order of delivery.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spec } from '../harness/spec.js'

const it = spec()

describe('the order of delivery', () => {
  test('is by priority, lower first, 0 where none is given', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    for (const priority of [5, -2_147_483_648, 0, 2_147_483_647, -1])
      await producer.enqueue(priority, { priority })
    await producer.enqueue('none')
    const payloads = []
    for (let n = 0; n < 6; n++) payloads.push((await it.pgqrs.consumer(queue).dequeue())?.payload)
    expect(payloads).toEqual([-2_147_483_648, -1, 0, 'none', 5, 2_147_483_647])
  })

  test('within a priority is by the time at which a message became due, not by when it was enqueued', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    await producer.enqueue('enqueued first, due last', { delay: '2h' })
    await producer.enqueue('due first', { delay: '1h' })
    await it.sql(`update pgqrs_messages set due_at = due_at - interval '3 hours' where queue_id = $1`, [
      (await it.admin.getQueue(queue)).id,
    ])
    const messages = await it.pgqrs.consumer(queue).dequeueBatch()
    expect(messages.map(({ payload }) => payload)).toEqual(['due first', 'enqueued first, due last'])
  })

  test('is by id for messages of one moment', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).batchEnqueue(new Array(300).fill('same'))
    const taken = await it.pgqrs.consumer(queue).dequeueBatch(300)
    expect(taken.map(({ id }) => id)).toEqual(stored.map(({ id }) => id))
  })

  test('holds in a batch and across batches, whatever the priorities, due times and batch sizes', async () => {
    const one = fc.record({
      priority: fc.integer({ min: -2, max: 2 }),
      agoMs: fc.integer({ min: 0, max: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        async (given, size) => {
          const queue = await it.newQueue()
          const { id } = await it.admin.getQueue(queue)
          await it.sql(
            `insert into pgqrs_messages (queue_id, priority, due_at, payload)
           select $1, p, '2020-01-01'::timestamptz - a * interval '1 ms', '0'
           from unnest($2::int[], $3::int[]) u(p, a)`,
            [id, given.map(({ priority }) => priority), given.map(({ agoMs }) => agoMs)],
          )
          const expected = await it.sql(
            'select id from pgqrs_messages where queue_id = $1 order by priority, due_at, id',
            [id],
          )
          const taken: string[] = []
          for (;;) {
            const batch = await it.pgqrs.consumer(queue).dequeueBatch(size, { lease: '1h' })
            taken.push(...batch.map((message) => message.id))
            if (batch.length < size) break
          }
          expect(taken).toEqual(expected.map((row) => row.id))
        },
      ),
      { numRuns: 25 },
    )
  })

  test.each([1.5, 2_147_483_648, -2_147_483_649, Number.NaN, '1', null])(
    'refuses the priority %s',
    async (priority) => {
      const queue = await it.newQueue()
      await expect(
        it.pgqrs.producer(queue).enqueue(1, { priority: priority as number }),
      ).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(/^priority: /) })
    },
  )
})
