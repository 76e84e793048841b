// A queue with a schema: validated where it goes in and where it comes out.

import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as z from 'zod'
import { queue, type StandardSchema } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

type Email = { to: string; n: number }
const schemas: [library: string, schema: StandardSchema<Email, Email>][] = [
  ['zod', z.object({ to: z.string(), n: z.number() })],
  ['valibot', v.object({ to: v.string(), n: v.number() })],
  ['arktype', type({ to: 'string', n: 'number' })],
]

describe.each(schemas)('a queue with a schema of %s', (_, schema) => {
  test('carries what the schema allows', async () => {
    const emails = queue(await it.newQueue(), schema)
    await it.pgqrs.producer(emails).enqueue({ to: 'ada', n: 1 })
    expect((await it.pgqrs.consumer(emails).dequeue())?.payload).toEqual({ to: 'ada', n: 1 })
  })

  test('refuses at enqueue what the schema does not allow, with its reason, and stores nothing', async () => {
    const name = await it.newQueue()
    const emails = queue(name, { schema })
    const bad = { to: 'ada', n: 'one' } as unknown as Email
    await expect(it.pgqrs.producer(emails).enqueue(bad)).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
      message: expect.stringMatching(/refused by the schema: .*n/),
    })
    await expect(it.pgqrs.producer(emails).batchEnqueue([{ to: 'a', n: 1 }, bad])).rejects.toMatchObject({
      details: { index: 1 },
    })
    expect((await it.admin.queueMetrics(name)).totalCount).toBe(0)
  })

  test('makes a dead letter of a stored payload that it refuses, and delivers the next', async () => {
    const name = await it.newQueue()
    const emails = queue(name, schema)
    const bad = await it.pgqrs.producer(name).batchEnqueue([{ to: 1 }, 'text', null])
    await it.pgqrs.producer(emails).enqueue({ to: 'ada', n: 1 })
    expect((await it.pgqrs.consumer(emails).dequeue())?.payload).toEqual({ to: 'ada', n: 1 })
    const dead = await it.admin.deadLetters.list(name)
    expect(dead.map(({ id }) => id).sort()).toEqual(bad.map(({ id }) => id).sort())
    for (const letter of dead) expect(letter.lastError).toContain('refused by the schema')
  })

  test('fills a batch past what it refuses', async () => {
    const name = await it.newQueue()
    const plain = it.pgqrs.producer(name)
    for (let n = 0; n < 10; n++) await plain.enqueue(n % 2 ? { to: 'x', n } : { wrong: n })
    const batch = await it.pgqrs.consumer(queue(name, schema)).dequeueBatch(4)
    expect(batch.map(({ payload }) => payload.n)).toEqual([1, 3, 5, 7])
    expect(await it.admin.queueMetrics(name)).toMatchObject({ leasedCount: 4, deadCount: 4, pendingCount: 2 })
  })
})

describe('a schema that transforms', () => {
  const schema = z.object({ at: z.string().transform((text) => new Date(text)), n: z.number().default(7) })

  test('is given the stored payload, and the consumer gets what it makes of it', async () => {
    const events = queue(await it.newQueue(), schema)
    const stored = await it.pgqrs.producer(events).enqueue({ at: '2020-01-01T00:00:00Z' })
    expect(stored.payload).toEqual({ at: '2020-01-01T00:00:00Z' })
    const message = await it.pgqrs.consumer(events).dequeue()
    expect(message?.payload).toEqual({ at: new Date('2020-01-01T00:00:00Z'), n: 7 })
    expectTypeOf(stored.payload).toEqualTypeOf<{ at: string; n?: number | undefined }>()
    expectTypeOf(message!.payload).toEqualTypeOf<{ at: Date; n: number }>()
  })

  test('may take its time', async () => {
    const slow = z.string().refine(async (text) => text.startsWith('ok'))
    const texts = queue(await it.newQueue(), slow)
    await it.pgqrs.producer(texts).enqueue('ok')
    await expect(it.pgqrs.producer(texts).enqueue('no')).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' })
    expect((await it.pgqrs.consumer(texts).dequeue())?.payload).toBe('ok')
  })

  test('that throws loses nothing: the messages are given back, and the attempt does not count', async () => {
    const name = await it.newQueue()
    let broken = true
    const moody = queue<string, string>(name, {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if (broken) throw new Error('the schema is broken')
          return { value: value as string }
        },
      },
    })
    await it.pgqrs.producer(name).enqueue('x', { maxAttempts: 1 })
    await expect(it.pgqrs.consumer(moody).dequeue()).rejects.toThrow('the schema is broken')
    broken = false
    expect((await it.pgqrs.consumer(moody).dequeue())?.payload).toBe('x')
  })
})

describe('the types', () => {
  test('of a queue reach its producer and its consumer', () => {
    const typed = queue<Email>('typed')
    const byZod = queue('zod', z.object({ a: z.string() }))
    const byValibot = queue('valibot', v.object({ a: v.string() }))
    const byArktype = queue('arktype', type({ a: 'string' }))
    const producer = () => it.pgqrs.producer(typed)
    const consumer = () => it.pgqrs.consumer(typed)
    expectTypeOf(producer).returns.toHaveProperty('enqueue').parameter(0).toEqualTypeOf<Email>()
    expectTypeOf(consumer)
      .returns.toHaveProperty('dequeue')
      .returns.resolves.exclude<null>()
      .toHaveProperty('payload')
      .toEqualTypeOf<Email>()
    for (const one of [byZod, byValibot, byArktype]) {
      const given = () => it.pgqrs.producer(one)
      const taken = () => it.pgqrs.consumer(one)
      expectTypeOf(given).returns.toHaveProperty('enqueue').parameter(0).toEqualTypeOf<{ a: string }>()
      expectTypeOf(taken)
        .returns.toHaveProperty('dequeueBatch')
        .returns.resolves.items.toHaveProperty('payload')
        .toEqualTypeOf<{ a: string }>()
    }
    const untyped = () => it.pgqrs.consumer('by name')
    expectTypeOf(untyped)
      .returns.toHaveProperty('dequeue')
      .returns.resolves.exclude<null>()
      .toHaveProperty('payload')
      .toEqualTypeOf<unknown>()
  })

  test('refuse a payload of another type', () => {
    const refused = () => {
      // @ts-expect-error n is missing
      it.pgqrs.producer(queue<Email>('typed')).enqueue({ to: 'ada' })
      // @ts-expect-error n is no number
      it.pgqrs.producer(queue('zod', z.object({ n: z.number() }))).batchEnqueue([{ n: '1' }])
      // @ts-expect-error no duration
      it.pgqrs.producer('any').enqueue(1, { delay: '5 minutes' })
    }
    expect(refused).toBeTypeOf('function')
  })

  test('of a schema hold for what is made by hand', () => {
    const definition = queue('zod', z.object({ a: z.string() }))
    expect(() => queue('zod', {} as StandardSchema)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
    expectTypeOf(definition).toHaveProperty('name').toEqualTypeOf<string>()
  })
})
