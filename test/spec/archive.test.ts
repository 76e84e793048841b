// What was done is kept, with what is known of it.

import { describe, expect, test } from 'vitest'
import { PgqrsArchiveTable, PgqrsMessages } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })
const archive = () => new PgqrsArchiveTable(it.admin.pool)
const messages = () => new PgqrsMessages(it.admin.pool)

async function held() {
  const queue = await it.newQueue()
  await it.pgqrs.producer(queue).enqueue({ a: 1 }, { priority: 2, headers: { h: 1 }, maxAttempts: 7 })
  const consumer = it.pgqrs.consumer(queue)
  return { queue, consumer, message: (await consumer.dequeue())! }
}

describe('an archived message', () => {
  test('has everything that it had, when it was archived, and its outcome', async () => {
    const { consumer, message } = await held()
    expect(await consumer.archive(message)).toBe(true)
    const { leasedUntil: _, ...kept } = message
    const archived = (await archive().get(message.id))!
    expect(archived).toMatchObject({ ...kept, outcome: 'archived', archivedBy: null, lastError: null })
    expect(archived.archivedAt.getTime()).toBeGreaterThanOrEqual(message.dequeuedAt!.getTime())
  })

  test('is in the archive alone', async () => {
    const { queue, consumer, message } = await held()
    await consumer.archive(message)
    expect(await messages().get(message.id)).toBeNull()
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ archivedCount: 1, totalCount: 1 })
  })

  test('says how many milliseconds it took from its last dequeue', async () => {
    const { queue, consumer, message } = await held()
    await it.sql(
      `update pgqrs_messages set dequeued_at = clock_timestamp() - interval '90.5 s' where id = $1`,
      [message.id],
    )
    await consumer.archive(message)
    const [archived] = await it.pgqrs.queue(queue).archiveList()
    expect(archived!.processingDuration).toBeGreaterThanOrEqual(90_500)
    expect(archived!.processingDuration).toBeLessThan(100_000)
    const taken = archived!.archivedAt.getTime() - archived!.dequeuedAt!.getTime()
    // A Date has no microseconds, the database's difference has.
    expect(Math.abs(archived!.processingDuration! - taken)).toBeLessThanOrEqual(1)
  })

  test('says it of rows by plain SQL too, and anew when their times change', async () => {
    const { id } = await it.admin.getQueue(await it.newQueue())
    const insert = `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload, dequeued_at, archived_at)
      values ($1, $2, now(), now(), '1', '2026-01-01 00:00:00Z', '2026-01-01 00:01:00.0015Z')
      returning processing_duration as took`
    expect(await it.sql(insert, ['900000001', id])).toEqual([{ took: '60002' }])
    const update = (set: string) =>
      it.sql(`update pgqrs_archive set ${set} where id = 900000001 returning processing_duration as took`)
    expect(await update(`dequeued_at = dequeued_at - interval '2 s'`)).toEqual([{ took: '62002' }])
    // In another partition, a row of its own.
    expect(await update(`archived_at = archived_at + interval '100 days'`)).toEqual([{ took: '8640062002' }])
    expect(await update('dequeued_at = null')).toEqual([{ took: null }])
  })

  test('has no processing duration when it was never dequeued', async () => {
    const queue = await it.newQueue()
    const { id } = await it.pgqrs.producer(queue).enqueue(1)
    expect(await messages().archive(id)).toBe(true)
    expect(await archive().get(id)).toMatchObject({ processingDuration: null, dequeuedAt: null, attempt: 0 })
  })

  test('says who archived it, as the caller gave it', async () => {
    const { consumer, message } = await held()
    await consumer.archive(message, { archivedBy: 'worker-01' })
    expect((await archive().get(message.id))?.archivedBy).toBe('worker-01')
    const second = await held()
    await second.consumer.archiveBatch([second.message], 'worker-02')
    expect((await archive().get(second.message.id))?.archivedBy).toBe('worker-02')
  })

  test('keeps apart what different callers archived at the same moment', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue([0, 1, 2, 3, 4])
    const consumer = it.pgqrs.consumer(queue)
    const taken = await consumer.dequeueBatch()
    await Promise.all(taken.map((message) => consumer.archive(message, `by ${message.payload}`)))
    for (const { payload, archivedBy } of await it.pgqrs.queue(queue).archiveList())
      expect(archivedBy).toBe(`by ${payload}`)
  })

  test('refuses an archivedBy of more than 200 characters, and stays held', async () => {
    const { consumer, message } = await held()
    await expect(consumer.archive(message, 'x'.repeat(201))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    expect(await consumer.archive(message, 'x'.repeat(200))).toBe(true)
  })

  test('is gone after a purge of its queue’s archive, others are not', async () => {
    const one = await held()
    const other = await held()
    for (const { consumer, message } of [one, other]) await consumer.archive(message)
    expect(await it.admin.purgeArchive(one.queue)).toBe(1)
    expect(await it.admin.purgeArchive(one.queue)).toBe(0)
    expect(await archive().get(one.message.id)).toBeNull()
    expect(await archive().get(other.message.id)).not.toBeNull()
  })
})

describe("an operator's archive or delete by id", () => {
  test('works on a message that nobody holds, delayed ones included', async () => {
    const queue = await it.newQueue()
    const [ready, delayed] = [
      await it.pgqrs.producer(queue).enqueue(1),
      await it.pgqrs.producer(queue).enqueue(2, { delay: '1h' }),
    ]
    expect(await messages().archive(ready.id, { archivedBy: 'ops' })).toBe(true)
    expect(await archive().get(ready.id)).toMatchObject({ archivedBy: 'ops', outcome: 'archived' })
    expect(await messages().delete(delayed.id)).toBe(true)
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ archivedCount: 1, totalCount: 1 })
  })

  test('is refused while a consumer holds the message, and says so', async () => {
    const { consumer, message } = await held()
    for (const act of ['archive', 'delete'] as const)
      await expect(messages()[act](message.id)).rejects.toMatchObject({
        code: 'MESSAGE_HELD',
        message: expect.stringContaining(message.id),
        hint: expect.stringContaining('force'),
      })
    expect(await consumer.archive(message)).toBe(true)
  })

  test('takes a held message when it is forced; the settle of the holder gives false then', async () => {
    const one = await held()
    expect(await messages().delete(one.message.id, { force: true })).toBe(true)
    expect(await one.consumer.archive(one.message)).toBe(false)
    const other = await held()
    expect(await messages().archive(other.message.id, { force: true })).toBe(true)
    expect(await other.consumer.delete(other.message)).toBe(false)
    expect((await archive().get(other.message.id))?.outcome).toBe('archived')
  })

  test('works on a message whose lease has run out', async () => {
    const { queue, message } = await held()
    await it.expireLeases(queue)
    expect(await messages().delete(message.id)).toBe(true)
  })

  test('gives false for an id that is not there', async () => {
    expect(await messages().delete('8999999999999999999')).toBe(false)
    expect(await messages().archive(0)).toBe(false)
  })
})
