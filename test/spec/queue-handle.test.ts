// The handle of one queue, as pgqrs 0.1 had it.

import { describe, expect, test } from 'vitest'
import { queue as define, Queue } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultMaxBatchSize: 3, defaultLockTimeSeconds: 60 })

async function handle() {
  return it.admin.getQueue(await it.newQueue())
}

describe("the queue's handle", () => {
  test('has the fields of the queue', async () => {
    const name = await it.newQueue({ maxAttempts: 2 })
    const queue = await it.admin.getQueue(name)
    expect(queue).toBeInstanceOf(Queue)
    expect(queue).toMatchObject({
      name,
      id: expect.stringMatching(/^\d+$/),
      maxAttempts: 2,
      createdAt: expect.any(Date),
    })
    expect(await it.admin.createQueue(name)).toMatchObject({ id: queue.id, name })
  })

  test('can be made from the pool, the queue and the configuration', async () => {
    const name = await it.newQueue()
    const made = new Queue<{ n: number }>(it.admin.pool, define<{ n: number }>(name), it.admin.config)
    await made.enqueue({ n: 1 })
    expect((await made.read())[0]?.payload.n).toBe(1)
    expect(made.name).toBe(name)
  })

  test('enqueues one, many, and one for later', async () => {
    const queue = await handle()
    await queue.enqueue('one', { priority: -1 })
    await queue.batchEnqueue(['two', 'three'])
    await queue.enqueueDelayed('later', 80)
    expect((await queue.read()).map(({ payload }) => payload)).toEqual(['one', 'two', 'three'])
    expect((await eventually(async () => (await queue.read())[0])).payload).toBe('later')
  })

  test('reads the configured number, or as many as the call says, under the lease of the call', async () => {
    const queue = await handle()
    await queue.batchEnqueue([1, 2, 3, 4, 5, 6])
    expect(await queue.read()).toHaveLength(3)
    const [message] = await queue.read(1, '10m')
    expect(message!.leasedUntil!.getTime() - message!.dequeuedAt!.getTime()).toBeGreaterThanOrEqual(600_000)
    expect(await queue.read(10)).toHaveLength(2)
    expect(await queue.read()).toEqual([])
  })

  test('archives what it read, by its id, with who did it, and once', async () => {
    const queue = await handle()
    await queue.enqueue('x')
    const [message] = await queue.read()
    expect(await queue.archive(message!.id, 'worker-01')).toBe(true)
    expect(await queue.archive(message!.id, 'worker-01')).toBe(false)
    expect(await queue.getArchivedMessageById(message!.id)).toMatchObject({
      payload: 'x',
      archivedBy: 'worker-01',
    })
  })

  test('archives and deletes by id what nobody holds, as an operator does', async () => {
    const queue = await handle()
    const [a, b] = await queue.batchEnqueue(['a', 'b'])
    expect(await queue.archive(a!.id)).toBe(true)
    expect(await queue.deleteBatch([b!.id])).toEqual([true])
  })

  test('gives false for what another holds, and changes nothing', async () => {
    const queue = await handle()
    await queue.enqueue('x')
    const [message] = await (await it.admin.getQueue(queue.name)).read()
    expect(await queue.archive(message!.id)).toBe(false)
    expect(await queue.deleteBatch([message!.id])).toEqual([false])
    expect(await queue.extendVisibility(message!.id, '1h')).toBe(false)
    expect(await it.admin.queueMetrics(queue.name)).toMatchObject({ leasedCount: 1 })
  })

  test('gives false for what it lost, by its id too, and changes nothing', async () => {
    const queue = await handle()
    await queue.batchEnqueue(['a', 'b', 'c'])
    const [a, b, c] = await queue.read()
    await it.expireLeases(queue.name)
    const other = await it.admin.getQueue(queue.name)
    const [again] = await other.read(1)
    expect(again!.id).toBe(a!.id)
    expect(await queue.extendVisibility(a!.id, '1h')).toBe(false)
    expect((await it.admin.queueMetrics(queue.name)).leasedCount).toBe(1)

    // Given back by the other, so that nobody holds them: what was lost stays lost.
    const messages = [again!, ...(await other.read())]
    await it.pgqrs.consumer(queue.name).releaseBatch(messages)
    expect(await queue.archive(a!.id)).toBe(false)
    expect(await queue.deleteBatch([b!.id])).toEqual([false])
    expect(await queue.extendVisibility(c!.id, '1h')).toBe(false)
    expect((await it.admin.queueMetrics(queue.name)).pendingCount).toBe(3)
  })

  test('takes part in a transaction of the caller', async () => {
    const queue = await handle()
    const { id: unread } = await queue.enqueue('unread', { priority: 1 })
    await queue.batchEnqueue(['a', 'b', 'c', 'd'])
    const all = async (end: 'commit' | 'rollback') => {
      const [a, b, c] = await queue.read(3)
      return it.transaction(end, async (tx) => {
        const [d] = await queue.read(1, { tx, lease: '10m' })
        return [
          d?.payload,
          await queue.archive(a!.id, { tx, archivedBy: 'ada' }),
          ...(await queue.deleteBatch([b!], { tx })),
          await queue.failMessage(c!, 'no paper', { tx, dead: true }),
          await queue.extendVisibility(d!.id, '1h', { tx }),
          await queue.archive(unread, { tx }),
        ]
      })
    }
    const done = ['d', true, true, 'dead', true, true]
    expect(await all('rollback')).toEqual(done)
    expect(await it.admin.queueMetrics(queue.name)).toMatchObject({ leasedCount: 3, pendingCount: 2 })
    await it.expireLeases(queue.name)
    expect(await all('commit')).toEqual(done)
    expect(await it.admin.queueMetrics(queue.name)).toMatchObject({
      leasedCount: 1,
      pendingCount: 0,
      archivedCount: 2,
      deadCount: 1,
    })
  })

  test('touches no message of another queue', async () => {
    const [one, other] = [await handle(), await handle()]
    const { id } = await other.enqueue('x')
    expect(await one.archive(id)).toBe(false)
    expect(await one.deleteBatch([id])).toEqual([false])
    expect(await one.extendVisibility(id, '1h')).toBe(false)
    expect(await other.archive(id)).toBe(true)
    expect(await one.getArchivedMessageById(id)).toBeNull()
    expect(await other.getArchivedMessageById(id)).not.toBeNull()
  })

  test('deletes many, with an answer for each in their order', async () => {
    const queue = await handle()
    await queue.batchEnqueue(['a', 'b', 'c'])
    const [a, b, c] = await queue.read()
    await queue.archive(b!.id)
    expect(await queue.deleteBatch([c!.id, b!.id, a!])).toEqual([true, false, true])
    expect((await it.admin.queueMetrics(queue.name)).totalCount).toBe(1)
  })

  test('lengthens the lease of what it read, and puts off what nobody holds', async () => {
    const queue = await handle()
    const [a, b] = await queue.batchEnqueue(['a', 'b'])
    await queue.read(1)
    expect(await queue.extendVisibility(a!.id, '1h')).toBe(true)
    expect(await queue.extendVisibility(b!.id, '1h')).toBe(true)
    expect(await it.admin.queueMetrics(queue.name)).toMatchObject({ leasedCount: 1, delayedCount: 1 })
    expect(await queue.extendVisibility('8999999999999999999', '1h')).toBe(false)
  })

  test('says that a message failed', async () => {
    const queue = await handle()
    await queue.enqueue('x')
    const [message] = await queue.read()
    expect(await queue.failMessage(message!, 'no paper', { dead: true })).toBe('dead')
    expect(await queue.archiveList()).toMatchObject([{ outcome: 'dead', lastError: 'no paper' }])
  })

  test('lists its archive, the most recent first, in pages', async () => {
    const queue = await handle()
    const ids: string[] = []
    for (const { id } of await queue.batchEnqueue([1, 2, 3, 4, 5])) {
      await queue.archive(id)
      ids.unshift(id)
    }
    const list = async (limit?: number, offset?: number) =>
      (await queue.archiveList(limit, offset)).map(({ id }) => id)
    expect(await list()).toEqual(ids)
    expect(await list(2, 0)).toEqual(ids.slice(0, 2))
    expect(await list(2, 2)).toEqual(ids.slice(2, 4))
    expect(await list(50, 5)).toEqual([])
    await expect(list(0)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })

  test('of a queue that is gone says so', async () => {
    const queue = await handle()
    await it.admin.deleteQueue(queue.name)
    const gone = { code: 'QUEUE_NOT_FOUND', message: expect.stringContaining(`'${queue.name}'`) }
    await expect(queue.enqueue(1)).rejects.toMatchObject(gone)
    await expect(queue.read()).rejects.toMatchObject(gone)
    await expect(queue.archiveList()).rejects.toMatchObject(gone)
  })
})
