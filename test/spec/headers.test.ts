// What travels beside the payload.

import { describe, expect, test } from 'vitest'
import { PgqrsArchiveTable } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('headers', () => {
  test('travel with the message to its consumer and into the archive', async () => {
    const queue = await it.newQueue()
    const headers = { traceparent: '00-4bf92f-01', tenant: { id: 7, tags: ['a', null] } }
    const stored = await it.pgqrs.producer(queue).enqueue('x', { headers })
    expect(stored.headers).toEqual(headers)
    const consumer = it.pgqrs.consumer(queue)
    const message = await consumer.dequeue()
    expect(message?.headers).toEqual(headers)
    await consumer.archive(message!)
    expect((await new PgqrsArchiveTable(it.admin.pool).get(stored.id))?.headers).toEqual(headers)
  })

  test('come back as they are stored, dates as text', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).enqueue(1, { headers: { at: new Date(0) } })
    expect(stored.headers).toEqual({ at: '1970-01-01T00:00:00.000Z' })
  })

  test('are null where none were given', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    expect((await it.pgqrs.consumer(queue).dequeue())?.headers).toBeNull()
  })

  test.each([
    ['a list', []],
    ['a text', 'trace'],
    ['a Map', new Map()],
    ['an undefined value', { trace: undefined }],
    ['more than 16 KiB', { trace: 'x'.repeat(16_384) }],
    ['more than 10 levels', { a: { a: { a: { a: { a: { a: { a: { a: { a: { a: {} } } } } } } } } } }],
  ])('that are, or have, %s are refused', async (_, headers) => {
    const queue = await it.newQueue()
    await expect(
      it.pgqrs.producer(queue).enqueue(1, { headers: headers as Record<string, unknown> }),
    ).rejects.toMatchObject({ code: 'PAYLOAD_INVALID', message: expect.stringMatching(/^headers/) })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })
})
