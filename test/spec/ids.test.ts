// Ids are 64-bit, and no digit is lost on the way: these are above 2^53, where a number of JavaScript is not exact.

import { beforeAll, describe, expect, test } from 'vitest'
import { PgqrsArchiveTable, PgqrsMessages, PgqrsQueues, PgqrsWorkers } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })
const above = 9_007_199_254_740_993n

beforeAll(async () => {
  for (const table of ['messages', 'queues', 'workers'])
    await it.sql(`select setval(pg_get_serial_sequence('pgqrs_${table}', 'id'), ${above}, false)`)
})

describe('an id above 2^53', () => {
  test('is exact in the result of an enqueue, as a string of digits', async () => {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).batchEnqueue([1, 2, 3])
    expect(stored.map(({ id }) => id)).toEqual([`${above}`, `${above + 1n}`, `${above + 2n}`])
    expect(BigInt(stored[0]!.queueId)).toBeGreaterThanOrEqual(above)
    expect(JSON.parse(JSON.stringify(stored[0])).id).toBe('9007199254740993')
  })

  test('is exact all the way through dequeue, extend, archive, and the tables', async () => {
    const queue = await it.newQueue()
    const [a, b, c] = await it.pgqrs.producer(queue).batchEnqueue(['a', 'b', 'c'])
    const consumer = it.pgqrs.consumer(queue)
    const taken = await consumer.dequeueBatch()
    expect(taken.map(({ id, payload }) => [id, payload])).toEqual([
      [a!.id, 'a'],
      [b!.id, 'b'],
      [c!.id, 'c'],
    ])
    expect(await consumer.extendVisibility(a!.id, '1h')).toBe(true)
    expect(await consumer.archiveBatch([a!.id, BigInt(b!.id)])).toEqual([true, true])
    expect(await consumer.delete(c!.id)).toBe(true)
    const archive = new PgqrsArchiveTable(it.admin.pool)
    expect(await archive.get(a!.id)).toMatchObject({ id: a!.id, payload: 'a' })
    expect((await archive.filterByFk(a!.queueId)).map(({ id }) => id).sort()).toEqual([a!.id, b!.id])
    expect(await new PgqrsQueues(it.admin.pool).get(a!.queueId)).toMatchObject({ name: queue })
  })

  test('tells neighbours apart that are the same JavaScript number', async () => {
    const queue = await it.newQueue()
    // An even one and the odd one after it, which a double rounds to it.
    await it.sql(`select setval(pg_get_serial_sequence('pgqrs_messages', 'id'), ${above + 999n}, false)`)
    const [a, b] = await it.pgqrs.producer(queue).batchEnqueue(['a', 'b'])
    expect(Number(a!.id)).toBe(Number(b!.id))
    const messages = new PgqrsMessages(it.admin.pool)
    expect((await messages.get(b!.id))?.payload).toBe('b')
    expect(await messages.delete(b!.id)).toBe(true)
    expect((await messages.get(a!.id))?.payload).toBe('a')
  })

  test('is exact for a dead letter that is put back, and for workers', async () => {
    const queue = await it.newQueue()
    const worker = await it.admin.workers.register(queue)
    const consumer = it.pgqrs.consumer(queue, { workerId: worker.id })
    const { id } = await it.pgqrs.producer(queue).enqueue(1)
    const message = (await consumer.dequeue())!
    expect(message.leasedBy).toBe(worker.id)
    await consumer.fail(message, 'x', { dead: true })
    expect(await it.admin.deadLetters.redrive(queue, { ids: [id] })).toEqual([id])
    expect(BigInt((await new PgqrsWorkers(it.admin.pool).get(worker.id))!.id)).toBeGreaterThanOrEqual(above)
    await consumer.dequeue()
    expect(await it.admin.workers.release(worker.id, { force: true })).toBe(1)
  })

  test('is refused as a number, whose last digits are lost already', async () => {
    await expect(new PgqrsMessages(it.admin.pool).get(Number(above))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringContaining('2^53'),
    })
  })

  test('may be the largest there is', async () => {
    const queue = await it.newQueue()
    const { id: queueId } = await it.admin.getQueue(queue)
    await it.sql(`insert into pgqrs_messages (id, queue_id, payload) values (9223372036854775807, $1, '1')`, [
      queueId,
    ])
    const consumer = it.pgqrs.consumer(queue)
    const message = (await consumer.dequeue())!
    expect(message.id).toBe('9223372036854775807')
    expect(await consumer.archive(message)).toBe(true)
  })
})
