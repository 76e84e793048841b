// Everything that happens to a message can be part of the program's own transaction.

import { describe, expect, test } from 'vitest'
import {
  type Consumer,
  type Message,
  PgqrsArchiveTable,
  PgqrsMessages,
  PgqrsQueues,
  PgqrsWorkers,
} from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()
type Tx = { tx: unknown }

describe('an enqueue in a transaction', () => {
  const ways: [name: string, enqueue: (queue: string, options: Tx) => Promise<unknown>][] = [
    ['enqueue', (queue, { tx }) => it.pgqrs.producer(queue).enqueue(1, { tx })],
    ['batchEnqueue', (queue, { tx }) => it.pgqrs.producer(queue).batchEnqueue([1], { tx })],
    ['enqueueDelayed', (queue, { tx }) => it.pgqrs.producer(queue).enqueueDelayed(1, 0, { tx })],
    ['the handle', (queue, { tx }) => it.pgqrs.queue(queue).enqueue(1, { tx })],
  ]

  test.each(ways)('by %s is there when the transaction commits, and not before', async (_, enqueue) => {
    const queue = await it.newQueue()
    await it.transaction('commit', async (tx) => {
      await enqueue(queue, { tx })
      expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
      expect(await it.pgqrs.consumer(queue).dequeue()).toBeNull()
    })
    expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toBe(1)
  })

  test.each(ways)('by %s never was when the transaction rolls back', async (_, enqueue) => {
    const queue = await it.newQueue()
    await it.transaction('rollback', (tx) => enqueue(queue, { tx }))
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })

  test('is one commit with a row of the program', async () => {
    const queue = await it.newQueue()
    await it.sql('create table orders (id int primary key)')
    const order = (end: 'commit' | 'rollback', id: number) =>
      it.transaction(end, async (tx) => {
        await tx.query('insert into orders values ($1)', [id])
        await it.pgqrs.producer(queue).enqueue({ order: id }, { tx })
      })
    await order('commit', 1)
    await order('rollback', 2)
    await expect(order('commit', 1)).rejects.toThrow(/duplicate key/)
    const messages = await it.pgqrs.consumer(queue).dequeueBatch()
    expect(messages.map(({ payload }) => payload)).toEqual([{ order: 1 }])
  })

  test('that fails on the server leaves the rest to the program: a savepoint saves the transaction', async () => {
    const queue = await it.newQueue()
    await it.transaction('commit', async (tx) => {
      await tx.query('savepoint here')
      await expect(it.pgqrs.producer('nowhere').enqueue(1, { tx })).rejects.toMatchObject({
        code: 'QUEUE_NOT_FOUND',
      })
      await expect(it.pgqrs.producer(queue).enqueue(1, { tx })).rejects.toMatchObject({
        code: 'DATABASE_ERROR',
        hint: expect.stringContaining('roll it back'),
      })
      await tx.query('rollback to here')
      await it.pgqrs.producer(queue).enqueue('after', { tx })
    })
    expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toBe('after')
  })

  test.each(['repeatable read', 'serializable'])('works at isolation level %s', async (level) => {
    const queue = await it.newQueue()
    await it.transaction('commit', async (tx) => {
      await tx.query(`set transaction isolation level ${level}`)
      await it.pgqrs.producer(queue).enqueue('isolated', { tx })
      const message = await it.pgqrs.consumer(queue).dequeue({ tx })
      expect(await it.pgqrs.consumer(queue).archive(message!, { tx })).toBe(true)
    })
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ archivedCount: 1, totalCount: 1 })
  })
})

describe('a dequeue in a transaction', () => {
  test('holds the message from others at once, and after the commit by its lease', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    const consumer = it.pgqrs.consumer(queue)
    const message = await it.transaction('commit', async (tx) => {
      const taken = await consumer.dequeue({ tx, lease: '1m' })
      expect(await it.pgqrs.consumer(queue, {}).dequeue()).toBeNull()
      return taken
    })
    expect(await it.pgqrs.consumer(queue, {}).dequeue()).toBeNull()
    expect(await consumer.archive(message!)).toBe(true)
  })

  test('that rolls back never was', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    await it.transaction('rollback', (tx) => it.pgqrs.consumer(queue).dequeue({ tx, lease: '1m' }))
    expect(await it.pgqrs.consumer(queue, {}).dequeue()).toMatchObject({ attempt: 1 })
  })

  test('and archived in the same transaction is one commit: read and consumed, or neither', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    const consume = (end: 'commit' | 'rollback') =>
      it.transaction(end, async (tx) => {
        const message = await it.pgqrs.consumer(queue).dequeue({ tx })
        return it.pgqrs.consumer(queue).archive(message!.id, { tx })
      })
    expect(await consume('rollback')).toBe(true)
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ pendingCount: 1, archivedCount: 0 })
    expect(await consume('commit')).toBe(true)
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ pendingCount: 0, archivedCount: 1 })
  })
})

describe('a settle in a transaction', () => {
  type Settle = (consumer: Consumer, message: Message, options: Tx) => Promise<unknown>
  const settles: [name: string, settle: Settle, accepted: unknown, after: object][] = [
    ['archive', (c, m, { tx }) => c.archive(m, { tx }), true, { archivedCount: 1 }],
    ['archiveBatch', (c, m, { tx }) => c.archiveBatch([m], { tx }), [true], { archivedCount: 1 }],
    ['delete', (c, m, { tx }) => c.delete(m, { tx }), true, { totalCount: 0 }],
    ['deleteBatch', (c, m, { tx }) => c.deleteBatch([m], { tx }), [true], { totalCount: 0 }],
    ['release', (c, m, { tx }) => c.release(m, { tx }), true, { pendingCount: 1 }],
    ['releaseBatch', (c, m, { tx }) => c.releaseBatch([m], { tx, delay: '1h' }), [true], { delayedCount: 1 }],
    ['fail', (c, m, { tx }) => c.fail(m, 'why', { tx, delay: 0 }), 'retried', { pendingCount: 1 }],
    ['fail for good', (c, m, { tx }) => c.fail(m, 'why', { tx, dead: true }), 'dead', { deadCount: 1 }],
  ]

  test.each(settles)('by %s is true when the transaction commits', async (_, settle, accepted, after) => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    const consumer = it.pgqrs.consumer(queue)
    const message = (await consumer.dequeue({ lease: '1m' }))!
    const answer = await it.transaction('commit', (tx) => settle(consumer, message, { tx }))
    expect(answer).toEqual(accepted)
    expect(await it.admin.queueMetrics(queue)).toMatchObject(after)
    expect(await consumer.archive(message)).toBe(false)
  })

  test.each(settles)(
    'by %s never was when it rolls back: the attempt still holds the message',
    async (_, settle) => {
      const queue = await it.newQueue()
      await it.pgqrs.producer(queue).enqueue('x')
      const consumer = it.pgqrs.consumer(queue)
      const message = (await consumer.dequeue({ lease: '1m' }))!
      await it.transaction('rollback', (tx) => settle(consumer, message, { tx }))
      expect(await it.admin.queueMetrics(queue)).toMatchObject({ leasedCount: 1, totalCount: 1 })
      expect(await consumer.archive(message.id)).toBe(true)
    },
  )

  test('by extendVisibility is true when it commits', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue('x')
    const consumer = it.pgqrs.consumer(queue)
    const message = (await consumer.dequeue({ lease: '1m' }))!
    const lease = async () => (await new PgqrsMessages(it.admin.pool).get(message.id))?.leasedUntil?.getTime()
    await it.transaction('rollback', (tx) => consumer.extendVisibility(message, '1h', { tx }))
    expect(await lease()).toBe(message.leasedUntil!.getTime())
    await it.transaction('commit', (tx) => consumer.extendVisibility(message, '1h', { tx }))
    expect(await lease()).toBe(message.leasedUntil!.getTime() + 3_600_000)
  })
})

describe('the table API in a transaction', () => {
  test('inserts and deletes with it', async () => {
    const { pool } = it.admin
    const { id: queueId } = await it.admin.getQueue(await it.newQueue())
    const tables = [
      [new PgqrsMessages(pool), { queueId, payload: 1 }],
      [new PgqrsArchiveTable(pool), { queueId, payload: 1 }],
      [new PgqrsWorkers(pool), { queueId, hostname: 'h' }],
      [new PgqrsQueues(pool), { name: 'in_a_transaction' }],
    ] as const
    for (const [table, row] of tables) {
      const count = await table.count()
      const insert = (tx: unknown) =>
        (table.insert as (row: unknown, options: Tx) => Promise<{ id: string }>)(row, { tx })
      const { id: gone } = await it.transaction('rollback', insert)
      expect(await table.get(gone)).toBeNull()
      const { id } = await it.transaction('commit', insert)
      await it.transaction('rollback', (tx) => table.delete(id, { tx }))
      expect(await table.count()).toBe(count + 1)
      expect(await it.transaction('commit', (tx) => table.delete(id, { tx }))).toBe(true)
      expect(await table.count()).toBe(count)
    }
  })
})

describe('tx', () => {
  test('that is a pool is refused: its statements would not be in the transaction', async () => {
    const queue = await it.newQueue()
    await expect(it.pgqrs.producer(queue).enqueue(1, { tx: it.pgqrs.pool })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringContaining('pool.connect()'),
    })
    await expect(it.pgqrs.consumer(queue).dequeue({ tx: it.outside })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })

  test.each([null, true, 'begin', {}])('of %s is refused instead of being ignored', async (tx) => {
    const queue = await it.newQueue()
    await expect(it.pgqrs.producer(queue).enqueue(1, { tx })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    expect((await it.admin.queueMetrics(queue)).totalCount).toBe(0)
  })
})
