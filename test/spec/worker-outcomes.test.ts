// What becomes of a message by what its handler does: resolve, throw, take too long, return a result.

import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  DeadLetter,
  PgqrsArchiveTable,
  PgqrsMessages,
  queue,
  RetryAfter,
  type WorkerOptions,
} from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, takes, workersOf } from '../harness/workers.js'

const it = spec()
const workers = workersOf(it)
const live = (id: string) => new PgqrsMessages(it.admin.pool).get(id)
const kept = (id: string) => new PgqrsArchiveTable(it.admin.pool).get(id)
/** The archived message, when it is. */
const settled = (id: string) => eventually(() => kept(id), { what: `message ${id} in the archive` })
const enqueue = (name: string, payload: unknown = 'x', options: { maxAttempts?: number } = {}) =>
  it.pgqrs.producer(name).enqueue(payload, options)

describe('a handler that resolves', () => {
  test('archives its message, with the name of the worker', async () => {
    const name = await it.newQueue()
    await workers.start(name, async () => {}, { name: 'mailer' })
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({
      outcome: 'archived',
      archivedBy: 'mailer',
      attempt: 1,
      result: null,
      lastError: null,
    })
    expect(await live(id)).toBeNull()
  })

  test('may be no async function', async () => {
    const name = await it.newQueue()
    const seen: unknown[] = []
    await workers.start(name, ({ payload }) => seen.push(payload))
    const { id } = await enqueue(name, { n: 1 })
    expect((await settled(id)).outcome).toBe('archived')
    expect(seen).toEqual([{ n: 1 }])
  })

  test('deletes its message where the queue says so', async () => {
    const { name } = await it.admin.createQueue('deleting', { onSuccess: 'delete' })
    const worker = await workers.start(name, () => {})
    const succeeded = next(worker, 'succeeded')
    const { id } = await enqueue(name)
    await succeeded
    expect(await live(id)).toBeNull()
    expect(await kept(id)).toBeNull()
  })

  test('deletes, or keeps, its message where the worker says so, whatever the queue says', async () => {
    const archiving = await it.newQueue()
    const { name: deleting } = await it.admin.createQueue('deleting_2', { onSuccess: 'delete' })
    const worker = await workers.serve([
      { queue: archiving, handler: () => {}, onSuccess: 'delete' },
      { queue: deleting, handler: () => {}, onSuccess: 'archive' },
    ])
    const both = Promise.all(
      [archiving, deleting].map((one) => next(worker, 'succeeded', (e) => e.queue === one)),
    )
    const [first, second] = await Promise.all([enqueue(archiving), enqueue(deleting)])
    await both
    expect([await live(first.id), await kept(first.id)]).toEqual([null, null])
    expect(await settled(second.id)).toMatchObject({ outcome: 'archived' })
  })

  test('keeps what it returned, as JSON, where the worker is told to', async () => {
    const name = await it.newQueue()
    const results: Record<string, unknown> = {
      object: { a: [1, 2, { b: null }] },
      text: 'ünïcode',
      zero: 0,
      no: false,
      null: null,
      nothing: undefined,
      date: new Date(0),
    }
    await workers.start(name, ({ payload }) => results[payload as string], { keepResult: true })
    for (const [payload, expected] of Object.entries(results)) {
      const { id } = await enqueue(name, payload)
      expect((await settled(id)).result).toEqual(
        expected === undefined ? null : JSON.parse(JSON.stringify(expected)),
      )
    }
  })

  test('keeps no result where the worker is not told to', async () => {
    const name = await it.newQueue()
    await workers.start(name, () => ({ big: 1 }))
    const { id } = await enqueue(name)
    expect((await settled(id)).result).toBeNull()
  })

  test.each([
    ['a function', () => () => {}],
    ['NaN', () => Number.NaN],
    ['a Map', () => new Map([[1, 2]])],
    ['a bigint', () => 1n],
    ['a NUL', () => '\u0000'],
  ])('with a result that is %s, which is no JSON, has failed', async (_, result) => {
    const name = await it.newQueue()
    const worker = await workers.start(name, result, { keepResult: true, backoff: 0 })
    const failed = next(worker, 'failed')
    const { id } = await enqueue(name, 'x', { maxAttempts: 2 })
    expect((await failed).error).toMatchObject({ code: 'PAYLOAD_INVALID' })
    expect(await settled(id)).toMatchObject({
      outcome: 'dead',
      attempt: 2,
      lastError: expect.stringContaining('result '),
    })
  })
})

describe('a handler that throws', () => {
  test('is run again with its message, which says why', async () => {
    const name = await it.newQueue()
    const seen: [number, string | null][] = []
    await workers.start(
      name,
      ({ lastError }, { attempt }) => {
        seen.push([attempt, lastError?.split('\n')[0] ?? null])
        if (attempt < 3) throw new TypeError(`no. ${attempt}`)
      },
      { backoff: 1, pollInterval: '10s' },
    )
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({ outcome: 'archived', attempt: 3, givenBack: 0 })
    expect(seen).toEqual([
      [1, null],
      [2, 'TypeError: no. 1'],
      [3, 'TypeError: no. 2'],
    ])
  })

  test.each([
    [
      'before it is a promise',
      () => {
        throw new Error('at once')
      },
    ],
    ['as a promise', () => Promise.reject(new Error('at once'))],
  ])('%s has failed all the same', async (_, handler: () => unknown) => {
    const name = await it.newQueue({ maxAttempts: 1 })
    await workers.start(name, handler)
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({
      outcome: 'dead',
      lastError: expect.stringMatching(/^Error: at once\n\s+at /),
    })
  })

  test('something that is no Error leaves its text', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    const thrown: unknown[] = [
      'a text',
      17,
      null,
      undefined,
      Symbol('s'),
      Object.create(null),
      { toString: null },
    ]
    await workers.start(name, ({ payload }) => {
      throw thrown[payload as number]
    })
    const texts: (string | null)[] = []
    for (const n of thrown.keys()) texts.push((await settled((await enqueue(name, n)).id)).lastError)
    expect(texts.slice(0, 5)).toEqual(['a text', '17', 'null', 'undefined', 'Symbol(s)'])
    expect(texts.slice(5).every((text) => typeof text === 'string' && text.length > 0)).toBe(true)
  })

  test('an Error whose stack is of no use leaves its name and message', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    class Strange extends Error {
      override readonly name = 'Strange'
    }
    await workers.start(name, ({ payload }) => {
      const error = new Strange('is it?')
      if (payload === 'no stack') Object.assign(error, { stack: 17 })
      throw error
    })
    const [plain, odd] = [await enqueue(name, 'plain'), await enqueue(name, 'no stack')]
    expect((await settled(plain.id)).lastError).toMatch(/^Strange: is it\?\n\s+at /)
    expect((await settled(odd.id)).lastError).toBe('Strange: is it?')
  })

  test.each([
    ['one message', {}],
    ['one message in a time', { timeout: '1h' }],
    ['a batch', { batch: { size: 1 } }],
  ])(
    'an Error of a handler of %s leaves its stack, without what is not of the program',
    async (_, options) => {
      const name = await it.newQueue({ maxAttempts: 1 })
      const fails = () => {
        throw new Error('declined')
      }
      await workers.start(name, fails, options as WorkerOptions & { batch?: undefined })
      const { lastError } = await settled((await enqueue(name)).id)
      expect(lastError).toMatch(/^Error: declined\n\s+at fails .*worker-outcomes/)
      expect(lastError).not.toContain('src/worker')
    },
  )

  test('a very long error leaves the beginning of it', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    await workers.start(name, () => {
      throw new Error('x'.repeat(1_000_000))
    })
    const { lastError } = await settled((await enqueue(name)).id)
    expect(lastError).toMatch(/^Error: xxx/)
    expect(lastError!.length).toBeLessThanOrEqual(8_000)
  })

  test('on the last attempt makes its message a dead letter', async () => {
    const name = await it.newQueue({ maxAttempts: 3 })
    const worker = await workers.start(
      name,
      () => {
        throw new Error('never')
      },
      { backoff: 0 },
    )
    const dead = next(worker, 'dead')
    const { id } = await enqueue(name)
    expect(await dead).toMatchObject({
      queue: name,
      message: { id, attempt: 3 },
      error: { message: 'never' },
    })
    expect(await settled(id)).toMatchObject({ outcome: 'dead', attempt: 3 })
    expect(worker.counters).toMatchObject({ started: 3, failed: 3, retried: 2, dead: 1, succeeded: 0 })
    expect(await it.admin.deadLetters.count(name)).toBe(1)
  })

  test.each([Number.NaN, 1e18, -5])(
    'a RetryAfter whose delayMs is no time any more, %s, costs no message its retry',
    async (delayMs) => {
      const name = await it.newQueue()
      const worker = await workers.start(name, () => {
        throw Object.assign(new RetryAfter(1), { delayMs })
      })
      const retried = next(worker, 'retried')
      const told = next(worker, 'error')
      const { id } = await enqueue(name)
      expect(await retried).toMatchObject({ delayMs: 1_000 })
      expect(await told).toMatchObject({ code: 'ARGUMENT_INVALID' })
      expect(await live(id)).toMatchObject({ leasedUntil: null })
    },
  )

  test('RetryAfter is run again after that time, whatever the backoff says', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      () => {
        throw new RetryAfter('10m', 'the limit of the provider')
      },
      { backoff: 0 },
    )
    const retried = next(worker, 'retried')
    const { id } = await enqueue(name)
    expect(await retried).toMatchObject({ delayMs: 600_000 })
    const message = (await live(id))!
    expect(message).toMatchObject({ attempt: 1, leasedUntil: null })
    expect(message.lastError).toMatch(/^RetryAfter: the limit of the provider\n/)
    const [row] = await it.sql<{ s: number }>(
      `select extract(epoch from due_at - clock_timestamp())::float8 as s from pgqrs_messages where id = $1`,
      [id],
    )
    expect(row!.s).toBeGreaterThan(570)
    expect(row!.s).toBeLessThanOrEqual(600)
  })

  test('DeadLetter makes it a dead letter at once, with the reason', async () => {
    const name = await it.newQueue({ maxAttempts: 10 })
    const worker = await workers.start(name, () => {
      throw new DeadLetter('unknown customer')
    })
    const events = heardFrom(worker, 'failed', 'dead')
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({
      outcome: 'dead',
      attempt: 1,
      lastError: expect.stringMatching(/^DeadLetter: unknown customer\n/),
    })
    await eventually(() => events.length === 2)
    expect(worker.counters).toMatchObject({ failed: 1, dead: 1, retried: 0 })
  })
})

describe('the backoff', () => {
  /** The delays of the first attempts of one message, made due again by hand. */
  async function delays(backoff: unknown, count: number): Promise<number[]> {
    const name = await it.newQueue({ maxAttempts: count + 1 })
    const worker = await workers.start(
      name,
      () => {
        throw new Error('again')
      },
      { backoff: backoff as never, pollInterval: 10 },
    )
    const found: number[] = []
    let retried = next(worker, 'retried')
    const { id } = await enqueue(name)
    while (found.length < count) {
      found.push((await retried).delayMs)
      retried = next(worker, 'retried')
      retried.catch(() => {})
      if (found.length < count)
        await it.sql('update pgqrs_messages set due_at = clock_timestamp() where id = $1', [id])
    }
    await worker.stop({ timeout: 0 })
    return found
  }

  test('is exponential with jitter by default: from about a second on, doubling', async () => {
    const found = await delays(undefined, 6)
    for (const [n, ms] of found.entries()) {
      expect(ms).toBeGreaterThanOrEqual(500 * 2 ** n)
      expect(ms).toBeLessThanOrEqual(1_000 * 2 ** n)
    }
  })

  test('is an hour at most by default', async () => {
    const name = await it.newQueue({ maxAttempts: 1_000 })
    const { id } = await it.pgqrs.producer(name).enqueue('x', { delay: '1h' })
    await it.sql('update pgqrs_messages set attempt = 500, due_at = clock_timestamp() where id = $1', [id])
    const worker = workers.begin(name, () => Promise.reject(new Error('again')))
    const { delayMs } = await next(worker, 'retried')
    expect(delayMs).toBeGreaterThanOrEqual(1_800_000)
    expect(delayMs).toBeLessThanOrEqual(3_600_000)
  })

  test('is exponential between bounds that were given', async () => {
    const found = await delays({ first: 100, most: '300ms' }, 4)
    const highest = [100, 200, 300, 300]
    for (const [n, ms] of found.entries()) {
      expect(ms).toBeGreaterThanOrEqual(highest[n]! / 2)
      expect(ms).toBeLessThanOrEqual(highest[n]!)
    }
  })

  test('is fixed where a time was given', async () => {
    expect(await delays('3m', 3)).toEqual([180_000, 180_000, 180_000])
  })

  test('is what a function makes of attempt and error', async () => {
    const seen: unknown[] = []
    const found = await delays((attempt: number, error: Error) => {
      seen.push([attempt, error.message])
      return attempt * 1_000
    }, 3)
    expect(found).toEqual([1_000, 2_000, 3_000])
    expect(seen.slice(0, 2)).toEqual([
      [1, 'again'],
      [2, 'again'],
    ])
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('my mistake')
      },
    ],
    ['gives no duration', () => 'soon' as never],
    ['gives NaN', () => Number.NaN],
  ])('function that %s costs the message nothing, and is told', async (_, backoff) => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => Promise.reject(new Error('again')), { backoff })
    const events = Promise.all([next(worker, 'error'), next(worker, 'retried')])
    const { id } = await enqueue(name)
    const [, { delayMs }] = await events
    expect(delayMs).toBe(1_000)
    expect(await live(id)).toMatchObject({
      attempt: 1,
      leasedUntil: null,
      lastError: expect.stringMatching(/again/),
    })
  })

  test('that is over is noticed at once, though the worker polls seldom', async () => {
    const name = await it.newQueue()
    const begun: number[] = []
    const worker = await workers.start(
      name,
      () => {
        begun.push(performance.now())
        if (begun.length < 3) throw new Error('again')
      },
      { backoff: '150ms', pollInterval: '10s', listen: false },
    )
    // No notification tells of it: the first look of the worker finds it.
    await enqueue(name)
    worker.suspend()
    worker.resume()
    await next(worker, 'succeeded')
    for (const n of [1, 2]) {
      expect(begun[n]! - begun[n - 1]!).toBeGreaterThan(120)
      expect(begun[n]! - begun[n - 1]!).toBeLessThan(3_000)
    }
  })
})

describe('a timeout', () => {
  test('aborts the signal with HANDLER_TIMEOUT, and the attempt has failed', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    const reason = deferred<unknown>()
    const worker = await workers.start(
      name,
      (_, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reason.resolve(signal.reason)
            reject(signal.reason)
          })
        }),
      { timeout: 50 },
    )
    const failed = next(worker, 'failed')
    const { id } = await enqueue(name)
    expect(await reason.promise).toMatchObject({ code: 'HANDLER_TIMEOUT' })
    expect((await failed).error).toMatchObject({ code: 'HANDLER_TIMEOUT' })
    expect(await settled(id)).toMatchObject({
      outcome: 'dead',
      lastError: expect.stringContaining('longer than 50 ms'),
    })
  })

  test('frees the slot of a handler that ignores it, and what that does later changes nothing', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    const late = deferred()
    const worker = await workers.start(
      name,
      ({ payload }) => (payload === 'slow' ? late.promise : undefined),
      {
        concurrency: 1,
        timeout: 50,
      },
    )
    const slow = await enqueue(name, 'slow')
    const quick = await enqueue(name, 'quick')
    expect((await settled(quick.id)).outcome).toBe('archived')
    expect((await settled(slow.id)).outcome).toBe('dead')
    late.resolve()
    await takes(0)
    expect(worker.counters).toMatchObject({ started: 2, succeeded: 1, failed: 1, dead: 1, lost: 0 })
  })

  test('does not touch a handler that ends in time', async () => {
    const name = await it.newQueue()
    const signals: AbortSignal[] = []
    await workers.start(
      name,
      async (_, { signal }) => {
        signals.push(signal)
      },
      { timeout: 30 },
    )
    const { id } = await enqueue(name)
    await settled(id)
    const second = await enqueue(name)
    await settled(second.id)
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
  })

  test('of a month is no timeout of a moment', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    await workers.start(name, () => takes(30), { timeout: '30d', lease: '365d', pollInterval: '60d' })
    const { id } = await enqueue(name)
    expect((await settled(id)).outcome).toBe('archived')
  })
})

describe('a payload that the schema of its queue refuses', () => {
  test('is a dead letter at once, with the reason, and its handler is not called', async () => {
    const name = await it.newQueue({ maxAttempts: 10 })
    const called: unknown[] = []
    const emails = queue(name, z.object({ to: z.string(), n: z.coerce.number() }))
    const worker = it.pgqrs.worker(emails, ({ payload }) => called.push(payload), {})
    await using _ = worker
    const bad = await enqueue(name, { to: 17, n: 1 })
    const good = await enqueue(name, { to: 'me', n: '2' })
    expect(await settled(bad.id)).toMatchObject({
      outcome: 'dead',
      attempt: 1,
      lastError: expect.stringMatching(/refused by the schema: to: /),
    })
    expect((await settled(good.id)).outcome).toBe('archived')
    // As the schema gives it.
    expect(called).toEqual([{ to: 'me', n: 2 }])
  })

  test('by a schema that throws is a failure like any other', async () => {
    const name = await it.newQueue()
    let calls = 0
    const validate = (value: unknown) => {
      calls += 1
      if (calls === 1) throw new Error('the schema is broken')
      return { value }
    }
    const strange = queue(name, { '~standard': { version: 1, vendor: 'me', validate } } as never)
    const worker = it.pgqrs.worker(strange, () => {}, { backoff: 0 })
    await using _ = worker
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({
      outcome: 'archived',
      attempt: 2,
      lastError: expect.any(String),
    })
  })
})
