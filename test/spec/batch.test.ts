// Adding and taking many at once.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message, ValidationRules } from '../../src/index.js'
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

  test('takes and refuses exactly what enqueue does, and gives the same message', async () => {
    const odd = fc.constantFrom<unknown>(
      undefined,
      -0,
      Number.NaN,
      'NUL \u0000',
      'half \ud83d',
      'whole \ud83d\ude00',
      'an escape: \\u0000',
      '\u0001\u001f',
      new Date(0),
      new Date(Number.NaN),
      new Map([[1, 2]]),
      Object('boxed'),
      { 'a key with NUL\u0000': 1 },
      { 'half a key\ude00': 1 },
      { [Symbol('dropped')]: 1 },
      { toJSON: () => ({ by: 'toJSON' }) },
      new Array(2),
      () => 1,
      1n,
      'long'.repeat(120),
      Object.defineProperty({}, 'hidden', { value: () => 1 }),
      Object.assign(Object.create(null), { of: 'nothing' }),
    )
    const payload = fc.oneof(
      { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
      odd,
      fc.array(odd, { maxLength: 2 }),
    )
    const rules = fc.constantFrom<ValidationRules>(
      {},
      { maxPayloadBytes: 30 },
      { maxDepth: 2 },
      { maxStringLength: 12 },
      { requiredKeys: ['a'] },
      { forbiddenKeys: ['a'] },
    )
    const what = ({ id: _, enqueuedAt: __, dueAt: ___, ...rest }: Message) => rest
    const queue = await it.newQueue()
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 4 }), rules, async (payloads, validation) => {
        const producer = it.pgqrs.producer(queue, { validation })
        const singles = await Promise.allSettled(payloads.map((one) => producer.enqueue(one)))
        const bad = singles.findIndex(({ status }) => status === 'rejected')
        const batch = producer.batchEnqueue(payloads)
        if (bad >= 0) {
          const { reason } = singles[bad] as PromiseRejectedResult
          const at = (text: string) => text.replace('payload', `payloads[${bad}]`)
          const { path } = reason.details
          await expect(batch).rejects.toMatchObject({
            code: reason.code,
            message: `${at(reason.message)} Nothing of the batch was enqueued.`,
            details: { index: bad, path: at(path) },
          })
        } else {
          const alone = singles.map((one) => what((one as PromiseFulfilledResult<Message>).value))
          expect((await batch).map(what)).toEqual(alone)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('is stored in order across the parts in which it is looked at', async () => {
    const queue = await it.newQueue()
    const batch: unknown[] = upTo(3_500)
    // One that is looked at by itself, in the second part.
    batch[1_700] = new Date(0)
    const stored = await it.pgqrs.producer(queue).batchEnqueue(batch)
    const rows = await it.sql<{ id: string; payload: unknown }>(
      `select m.id, m.payload from pgqrs_messages m join pgqrs_queues q on q.id = m.queue_id
       where q.name = $1 order by m.id`,
      [queue],
    )
    expect(rows.map(({ payload }) => payload)).toEqual(JSON.parse(JSON.stringify(batch)))
    expect(stored.map(({ id, payload }) => ({ id, payload }))).toEqual(rows)
  })

  test('refuses what is wrong in a later part, with its index, and what would be too deep for one alone', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue, { validation: { maxDepth: 2 } })
    const batch: unknown[] = upTo(2_500)
    batch[2_400] = { a: { b: { c: 1 } } }
    await expect(producer.batchEnqueue(batch)).rejects.toMatchObject({
      details: { index: 2_400, path: 'payloads[2400].a.b' },
    })
    batch[2_400] = { a: { b: 1 } }
    expect(await producer.batchEnqueue(batch)).toHaveLength(2_500)
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
