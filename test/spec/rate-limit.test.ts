// A token bucket for each producer.

import { describe, expect, test } from 'vitest'
import { Config, connect, type PgqrsError } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec()
const refusal = (attempt: Promise<unknown>) => attempt.then(() => null).catch((error: PgqrsError) => error)

describe('a rate limit', () => {
  test('is off until it is configured', async () => {
    const producer = it.pgqrs.producer(await it.newQueue())
    await Promise.all(Array.from({ length: 2_000 }, (_, n) => producer.enqueue(n)))
  })

  test('lets a burst through, and then says after how many milliseconds to try again', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue, { rateLimit: { perSecond: 0.5, burst: 3 } })
    for (let n = 0; n < 3; n++) await producer.enqueue(n)
    const error = await refusal(producer.enqueue('too many'))
    expect(error).toMatchObject({ code: 'RATE_LIMITED', hint: expect.stringContaining('retryAfterMs') })
    const { retryAfterMs } = error!.details as { retryAfterMs: number }
    expect(retryAfterMs).toBeGreaterThan(1_000)
    expect(retryAfterMs).toBeLessThanOrEqual(2_000)
    expect(error!.message).toContain(`${retryAfterMs} ms`)
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(3)
  })

  test('fills up again at its rate', async () => {
    const producer = it.pgqrs.producer(await it.newQueue(), { rateLimit: { perSecond: 20, burst: 1 } })
    await producer.enqueue(1)
    const begun = performance.now()
    await eventually(() => producer.enqueue(2))
    expect(performance.now() - begun).toBeGreaterThan(20)
  })

  test('has a burst of its rate, at least 1, where none is given', async () => {
    const queue = await it.newQueue()
    const slow = it.pgqrs.producer(queue, { rateLimit: { perSecond: 0.001 } })
    await slow.enqueue('one')
    expect(await refusal(slow.enqueue('two'))).toMatchObject({ code: 'RATE_LIMITED' })
    const quick = it.pgqrs.producer(queue, { rateLimit: { perSecond: 10 } })
    await quick.batchEnqueue(new Array(10).fill(0))
  })

  test('takes a batch whole or not at all, and says when it can never pass', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue, { rateLimit: { perSecond: 0.001, burst: 3 } })
    expect(await refusal(producer.batchEnqueue([1, 2, 3, 4]))).toMatchObject({
      code: 'RATE_LIMITED',
      details: { retryAfterMs: null },
      hint: expect.stringContaining('smaller'),
    })
    await producer.batchEnqueue([1, 2])
    expect(await refusal(producer.batchEnqueue([3, 4]))).toMatchObject({ code: 'RATE_LIMITED' })
    await producer.enqueue(3)
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(3)
  })

  test('is not used up by a payload that is refused', async () => {
    const producer = it.pgqrs.producer(await it.newQueue(), { rateLimit: { perSecond: 0.001, burst: 1 } })
    expect(await refusal(producer.enqueue(undefined))).toMatchObject({ code: 'PAYLOAD_INVALID' })
    await producer.enqueue('good')
  })

  test('of the configuration holds for each producer by itself, and null switches it off', async () => {
    const queue = await it.newQueue()
    const rateLimit = { perSecond: 0.001, burst: 1 }
    await using pgqrs = await connect(Config.fromDsn(it.dsn, { rateLimit }))
    await pgqrs.producer(queue).enqueue(1)
    expect(await refusal(pgqrs.producer(queue).enqueue(2))).toMatchObject({ code: 'RATE_LIMITED' })
    await pgqrs.producer(await it.newQueue()).enqueue(3)
    await pgqrs.producer(queue, { rateLimit: null }).batchEnqueue([4, 5, 6])
  })

  test.each([{ perSecond: 0 }, { perSecond: -1 }, { perSecond: Number.NaN }, { perSecond: 1, burst: 0.5 }])(
    'of %o is refused',
    (rateLimit) => {
      expect(() => it.pgqrs.producer('any', { rateLimit })).toThrow(
        expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringContaining('rateLimit') }),
      )
    },
  )
})
