// What may be a payload. JSON drops or changes some values without a word; none of these is ever stored.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Config, connect, Producer, type ValidationRules } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

class Point {
  x = 1
  #hidden = 2
  get sum() {
    return this.x + this.#hidden
  }
}

const cycle: { self?: unknown } = {}
cycle.self = cycle

/** What JSON cannot carry, and, for some, the path below `payload` at which it stands. */
const uncarried: [name: string, value: unknown, path?: string][] = [
  ['undefined', undefined],
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a bigint', 1n],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['an invalid date', new Date(Number.NaN)],
  ['a Map', new Map([[1, 2]])],
  ['a Set', new Set([1])],
  ['a regular expression', /x/],
  ['an Error', new Error('lost')],
  ['a promise', Promise.resolve(1)],
  ['bytes', new Uint8Array([1])],
  ['an ArrayBuffer', new ArrayBuffer(1)],
  ['search parameters', new URLSearchParams('a=1')],
  ['a Blob', new Blob(['x'])],
  ['HTTP headers', new Headers({ a: '1' })],
  ['a cycle', cycle, '.self'],
  ['an array with a hole', Object.assign([], { 0: 1, 2: 2 }), '[1]'],
  ['a symbol as a key', { [Symbol('k')]: 1 }],
  ['a NUL character', 'a\u0000b'],
  ['half of a surrogate pair', 'a\ud800'],
  ['a NUL character in a key', { 'a\u0000': 1 }, '["a\\u0000"]'],
  ['a boxed NaN', Object(Number.NaN)],
  ['an object whose toJSON gives undefined', { toJSON: () => undefined }],
]

describe('a payload', () => {
  test.each(uncarried)(
    'that is %s is refused, with the path to it, and not stored',
    async (_, value, path = '') => {
      const queue = await it.newQueue()
      const producer = it.pgqrs.producer(queue)
      const at = `payload${path}`
      await expect(producer.enqueue(value)).rejects.toMatchObject({
        code: 'PAYLOAD_INVALID',
        details: { path: at },
      })
      await expect(producer.enqueue({ list: [0, { 'a b': value }] })).rejects.toMatchObject({
        code: 'PAYLOAD_INVALID',
        message: expect.stringContaining(`payload.list[1]["a b"]${path}`),
        hint: expect.stringMatching(/\w/),
        details: { path: `payload.list[1]["a b"]${path}` },
      })
      expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
    },
  )

  test('of any JSON value comes back deep-equal', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    const consumer = it.pgqrs.consumer(queue)
    // -0 has no JSON: it is 0. PostgreSQL has no text with a NUL.
    const json = fc
      .jsonValue({ maxDepth: 6, stringUnit: 'binary' })
      .filter((value) => !JSON.stringify(value).includes('\\u0000'))
    await fc.assert(
      fc.asyncProperty(json, async (given) => {
        const value = JSON.parse(JSON.stringify(given))
        const stored = await producer.enqueue(given)
        const delivered = await consumer.dequeue()
        expect(stored.payload).toEqual(value)
        expect(delivered?.payload).toEqual(value)
        await consumer.delete(delivered!)
      }),
      { numRuns: 300 },
    )
  })

  test('of any value at all is stored deep-equal to its JSON, or refused and not stored', async () => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue)
    const consumer = it.pgqrs.consumer(queue)
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withTypedArray: true,
      withSparseArray: true,
      withBoxedValues: true,
    })
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        const refused = await producer.enqueue(value).then(
          () => null,
          (error) => error,
        )
        const delivered = await consumer.dequeue()
        if (refused) {
          expect(refused).toMatchObject({ code: 'PAYLOAD_INVALID' })
          expect(delivered).toBeNull()
        } else {
          expect(delivered?.payload).toEqual(JSON.parse(JSON.stringify(value)))
          await consumer.delete(delivered!)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('keeps numbers to the last digit that JavaScript has', async () => {
    const queue = await it.newQueue()
    const numbers = [5e-324, 1.7976931348623157e308, 0.1 + 0.2, 2 ** 53, -1e21, 1e-7]
    await it.pgqrs.producer(queue).enqueue(numbers)
    expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toEqual(numbers)
  })

  test('keeps keys that have a meaning in JavaScript', async () => {
    const queue = await it.newQueue()
    const text = '{"__proto__":{"a":1},"constructor":2,"":3,"toString":null}'
    const stored = await it.pgqrs.producer(queue).enqueue(JSON.parse(text))
    const delivered = await it.pgqrs.consumer(queue).dequeue()
    for (const { payload } of [stored, delivered!])
      expect(Object.entries(payload as object).sort()).toEqual(Object.entries(JSON.parse(text)).sort())
  })

  test('is what its toJSON says: a date is text, an instance of a class its fields', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs
      .producer(queue)
      .enqueue({ at: new Date(0), point: new Point(), url: new URL('http://a/') })
    expect(stored.payload).toEqual({ at: '1970-01-01T00:00:00.000Z', point: { x: 1 }, url: 'http://a/' })
  })

  test('may hold the same object twice, as long as it does not hold itself', async () => {
    const queue = await it.newQueue()
    const shared = { a: 1 }
    const { payload } = await it.pgqrs.producer(queue).enqueue({ one: shared, two: [shared, shared] })
    expect(payload).toEqual({ one: { a: 1 }, two: [{ a: 1 }, { a: 1 }] })
  })
})

describe('the rules for payloads', () => {
  const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
  const bytes = (count: number) => 'x'.repeat(count - 2)
  const cases: [rule: string, rules: ValidationRules, good: unknown, bad: unknown, path: string][] = [
    ['1 MiB of JSON by default', {}, bytes(1_048_576), bytes(1_048_577), 'payload'],
    ['100 levels by default', {}, nested(100), nested(101), `payload${'[0]'.repeat(100)}`],
    ['maxPayloadBytes, counted in UTF-8', { maxPayloadBytes: 10 }, 'ääää', 'äääää', 'payload'],
    ['maxDepth', { maxDepth: 2 }, { a: 1, b: [] }, { a: { b: {} } }, 'payload.a.b'],
    ['maxStringLength', { maxStringLength: 3 }, { a: 'abc' }, { a: ['abcd'] }, 'payload.a[0]'],
    [
      'forbiddenKeys, at any depth',
      { forbiddenKeys: ['password'] },
      { a: 'password' },
      { a: [{ password: 1 }] },
      'payload.a[0].password',
    ],
    ['requiredKeys, at the top', { requiredKeys: ['to'] }, { to: null }, { a: { to: 1 } }, 'payload.to'],
  ]
  test.each(cases)('%s', async (_, validation, good, bad, path) => {
    const queue = await it.newQueue()
    const producer = it.pgqrs.producer(queue, { validation })
    await producer.enqueue(good)
    await expect(producer.enqueue(bad)).rejects.toMatchObject({ code: 'PAYLOAD_INVALID', details: { path } })
    await expect(producer.batchEnqueue([good, bad])).rejects.toMatchObject({ details: { index: 1 } })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(1)
  })

  test('requiredKeys refuses what is no object', async () => {
    const producer = it.pgqrs.producer(await it.newQueue(), { validation: { requiredKeys: ['to'] } })
    for (const payload of [null, 'to', 7])
      await expect(producer.enqueue(payload)).rejects.toMatchObject({ details: { path: 'payload.to' } })
  })

  test('come from the configuration, and a producer changes them one by one', async () => {
    const queue = await it.newQueue()
    const validation = { maxStringLength: 3, forbiddenKeys: ['secret'] }
    await using pgqrs = await connect(Config.fromDsn(it.dsn, { validation }))
    await expect(pgqrs.producer(queue).enqueue('long')).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' })
    const wider = new Producer(pgqrs.pool, queue, pgqrs.config, { validation: { maxStringLength: 10 } })
    await wider.enqueue('long')
    await expect(wider.enqueue({ secret: 1 })).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' })
  })
})
