// Who may settle a message: the attempt that holds it, and once.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Consumer, PgqrsMessages } from '../../src/index.js'
import { breakFunction } from '../harness/broken.js'
import { ownQueue } from '../harness/own-queue.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })

async function held(count = 1) {
  const queue = await it.newQueue()
  await it.pgqrs.producer(queue).batchEnqueue(Array.from({ length: count }, (_, n) => n))
  const consumer = it.pgqrs.consumer(queue, {})
  const messages = count === 0 ? [] : await consumer.dequeueBatch(count)
  return { queue, consumer, messages, message: messages[0]!, other: it.pgqrs.consumer(queue, {}) }
}

type Settled = Parameters<Consumer['archive']>[0]
const settles: [name: string, settle: (consumer: Consumer, message: Settled) => Promise<unknown>][] = [
  ['archive', (consumer, message) => consumer.archive(message)],
  ['delete', (consumer, message) => consumer.delete(message)],
  ['release', (consumer, message) => consumer.release(message)],
  ['fail', (consumer, message) => consumer.fail(message, 'why')],
  ['archiveBatch', async (consumer, message) => (await consumer.archiveBatch([message]))[0]],
  ['deleteBatch', async (consumer, message) => (await consumer.deleteBatch([message]))[0]],
  ['releaseBatch', async (consumer, message) => (await consumer.releaseBatch([message]))[0]],
]

describe.each(settles)('%s', (_, settle) => {
  test('is accepted once for an attempt', async () => {
    const { consumer, message } = await held()
    expect(await settle(consumer, message)).toBeTruthy()
    for (const [, again] of settles) expect(await again(consumer, message)).toBe(false)
    expect(await consumer.extendVisibility(message, '1s')).toBe(false)
  })

  test('is accepted once of many at the same moment, from several consumers', async () => {
    const { consumer, other, message } = await held()
    const answers = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => settle(n % 2 ? consumer : other, message)),
    )
    expect(answers.filter(Boolean)).toHaveLength(1)
  })

  test('is refused to a consumer that lost the message, and changes nothing', async () => {
    const { queue, consumer, other, message } = await held()
    await it.expireLeases(queue)
    const next = (await other.dequeue())!
    expect(await settle(consumer, message)).toBe(false)
    expect(await settle(consumer, message.id)).toBe(false)
    expect(await new PgqrsMessages(it.admin.pool).get(message.id)).toEqual(next)
    expect(await settle(other, next)).toBeTruthy()
  })

  test('is accepted when the lease ran out and nobody took the message since', async () => {
    const { queue, consumer, message } = await held()
    await it.expireLeases(queue)
    expect(await settle(consumer, message)).toBeTruthy()
  })

  test('is refused for a message that was never dequeued', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).enqueue('x')
    const consumer = it.pgqrs.consumer(queue)
    expect(await settle(consumer, stored)).toBe(false)
    expect(await settle(consumer, { id: stored.id, attempt: 1 })).toBe(false)
    expect(await settle(consumer, stored.id)).toBe(false)
    expect((await it.admin.queueMetrics(queue)).pendingCount).toBe(1)
  })

  test('takes the id alone on the consumer that dequeued it, and on no other', async () => {
    const { consumer, other, message } = await held()
    expect(await settle(other, message.id)).toBe(false)
    expect(await settle(consumer, message.id)).toBeTruthy()
    expect(await settle(consumer, message.id)).toBe(false)
  })

  test('takes id and attempt as the proof from anywhere, another process included', async () => {
    const { other, message } = await held()
    const proof = JSON.parse(JSON.stringify({ id: message.id, attempt: message.attempt }))
    expect(await settle(other, proof)).toBeTruthy()
  })

  test('is refused with another attempt than the one that holds the message', async () => {
    const { consumer, message } = await held()
    for (const attempt of [0, 2, 2_147_483_647])
      expect(await settle(consumer, { id: message.id, attempt })).toBe(false)
    expect(await settle(consumer, message)).toBeTruthy()
  })

  test.each([
    null,
    undefined,
    {},
    { id: '1' },
    { id: '1', attempt: 1.5 },
    { id: 'x', attempt: 1 },
    'x',
    -1,
    2 ** 53,
  ])('refuses %s as a message', async (message) => {
    const { consumer } = await held(0)
    await expect(settle(consumer, message as string)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe('a batch of settles', () => {
  const batches: [name: string, settle: (consumer: Consumer, messages: Settled[]) => Promise<boolean[]>][] = [
    ['archiveBatch', (consumer, messages) => consumer.archiveBatch(messages)],
    ['deleteBatch', (consumer, messages) => consumer.deleteBatch(messages)],
    ['releaseBatch', (consumer, messages) => consumer.releaseBatch(messages)],
  ]
  test.each(batches)('%s answers in the order of the messages', async (_, settle) => {
    const { consumer, messages } = await held(6)
    const [a, b, c, d, e, f] = messages as [(typeof messages)[0], ...typeof messages]
    await consumer.delete(b!)
    const stale = { id: d!.id, attempt: 9 }
    expect(await settle(consumer, [f!, b!, a, '8999999999999999999', stale, c!.id, e!])).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
      true,
    ])
    expect(await consumer.archive(d!)).toBe(true)
  })

  test.each(batches)(
    '%s accepts a message that is named twice once, at its first place',
    async (_, settle) => {
      const { consumer, messages } = await held(2)
      const [a, b] = messages as [(typeof messages)[0], (typeof messages)[0]]
      expect(await settle(consumer, [b, a, a.id, b, a])).toEqual([true, true, false, false, false])
    },
  )

  test.each(batches)('%s of nothing answers nothing', async (_, settle) => {
    const { consumer } = await held(0)
    expect(await settle(consumer, [])).toEqual([])
    await expect(settle(consumer, 'x' as unknown as [])).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe('an attempt', () => {
  test('is never the same for two deliveries of a message', async () => {
    const { queue, consumer, message } = await held()
    const attempts = [message.attempt]
    let last = message
    for (const end of ['release', 'fail', 'expire', 'redrive']) {
      if (end === 'release') await consumer.release(last)
      else if (end === 'fail') await consumer.fail(last, 'x', { delay: 0 })
      else if (end === 'expire') await it.expireLeases(queue)
      else {
        await consumer.fail(last, 'x', { dead: true })
        await it.admin.deadLetters.redrive(queue)
      }
      last = (await consumer.dequeue())!
      attempts.push(last.attempt)
    }
    expect(attempts).toEqual([1, 2, 3, 4, 5])
  })
})

describe('a batch', () => {
  const [archive, remove, fail] = [
    'select pgqrs_archive_batch($1::bigint[], $2::integer[], null, $3::text[]) as accepted',
    'select pgqrs_delete_batch($1::bigint[], $2::integer[]) as accepted',
    `select retried || dead as accepted, dead from pgqrs_fail_batch($1::bigint[], $2::integer[], $3::text[], $4::bigint[])`,
  ]
  const message = fc.record({ attempt: fc.integer({ min: 1, max: 3 }), held: fc.boolean() })
  /** A message of the first twelve, by an attempt that it had: this one, or one before. */
  const named = fc.record({ at: fc.nat({ max: 11 }), before: fc.constantFrom(0, 0, 0, 1), note: fc.string() })
  const batch = fc.record({
    how: fc.constantFrom('archive', 'archive with results', 'delete', 'fail'),
    // All by their first attempt, or across.
    messages: fc.oneof(
      fc.array(fc.record({ attempt: fc.integer({ min: 1, max: 1 }), held: fc.boolean() }), {
        minLength: 12,
        maxLength: 12,
      }),
      fc.array(message, { minLength: 12, maxLength: 12 }),
    ),
    names: fc.array(named, { maxLength: 30 }),
  })

  test('is refused as a whole where it cannot be told what was settled by another in the same microsecond', async () => {
    const own = await ownQueue()
    await breakFunction(
      own.directDsn,
      'pgqrs_archive_batch',
      'clock_timestamp()',
      `'2031-01-01'::timestamptz`,
    )
    const consumer = own.pgqrs.consumer(own.queue)
    await own.pgqrs.producer(own.queue).batchEnqueue([1, 2, 3])
    const [first, second, third] = await consumer.dequeueBatch(3)
    expect(await consumer.archive(first!)).toBe(true)
    expect(await consumer.archive(first!)).toBe(false)
    await expect(consumer.archiveBatch([first!, second!])).rejects.toMatchObject({ cause: { code: '40001' } })
    expect(await consumer.archiveBatch([second!, third!])).toEqual([true, true])
  })

  test('settles those that are held by the attempts named, once, in whatever order and company', async () => {
    const queue = await it.newQueue()
    await fc.assert(
      fc.asyncProperty(batch, async ({ how, messages, names }) => {
        const ids = (await it.pgqrs.producer(queue).batchEnqueue(messages)).map(({ id }) => id)
        await it.sql(
          `update pgqrs_messages m set attempt = u.attempt, leased_until = case when u.held then now() end, dequeued_at = now()
           from unnest($1::bigint[], $2::integer[], $3::boolean[]) u(id, attempt, held) where m.id = u.id`,
          [ids, messages.map(({ attempt }) => attempt), messages.map(({ held }) => held)],
        )
        const attempts = names.map(({ at, before }) => messages[at]!.attempt - before)
        const accepted = new Map<number, number>()
        for (const [n, { at, before }] of names.entries())
          if (before === 0 && messages[at]!.held && !accepted.has(at)) accepted.set(at, n)
        const notes = names.map(({ note }) => JSON.stringify(note.replaceAll('\0', '')))
        const more = {
          archive: [null],
          'archive with results': [notes],
          delete: [],
          // Every second message for good.
          fail: [notes, names.map(({ at }) => (at % 2 ? null : '60000'))],
        }[how]
        const text = how === 'delete' ? remove : how === 'fail' ? fail : archive
        const [row] = await it.sql<{ accepted: number[] | null; dead?: number[] }>(text!, [
          names.map(({ at }) => ids[at]),
          attempts,
          ...more,
        ])
        const positions = [...accepted.values()].map((n) => n + 1).toSorted((a, b) => a - b)
        // Null says: all of them.
        if (row!.accepted === null) expect(positions).toHaveLength(names.length)
        else expect(row!.accepted.toSorted((a, b) => a - b)).toEqual(positions)
        if (row!.dead) expect(row!.dead.every((n) => names[n - 1]!.at % 2 === 1)).toBe(true)

        const live = await it.sql<{ id: string; last_error: string | null }>(
          'select id, last_error from pgqrs_messages where id = any ($1::bigint[])',
          [ids],
        )
        const archived = await it.sql<{
          id: string
          result: string | null
          last_error: string | null
          outcome: string
        }>(`select id, result::text, last_error, outcome from pgqrs_archive where id = any ($1::bigint[])`, [
          ids,
        ])
        for (const [at, id] of ids.entries()) {
          const n = accepted.get(at)
          const kept = archived.filter((one) => one.id === id)
          const left = live.filter((one) => one.id === id)
          const note = n === undefined ? null : notes[n]
          if (n === undefined || (how === 'fail' && at % 2 === 0)) {
            expect(kept).toEqual([])
            expect(left).toEqual([{ id, last_error: n === undefined ? null : note }])
          } else {
            expect(left).toEqual([])
            expect(kept).toEqual(
              {
                archive: [{ id, result: null, last_error: null, outcome: 'archived' }],
                'archive with results': [{ id, result: note, last_error: null, outcome: 'archived' }],
                delete: [],
                fail: [{ id, result: null, last_error: note, outcome: 'dead' }],
              }[how],
            )
          }
        }
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000 },
    )
  })
})
