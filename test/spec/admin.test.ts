// Queues and how they stand.

import { describe, expect, test } from 'vitest'
import { Config, PgqrsAdmin } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })

describe('createQueue', () => {
  test('creates a queue, and gives the same one when asked again', async () => {
    const first = await it.admin.createQueue('emails')
    const again = await it.admin.createQueue('emails')
    expect(again).toMatchObject({ id: first.id, name: 'emails', maxAttempts: 5 })
  })

  test('refuses other settings than the queue has, and names them', async () => {
    await it.admin.createQueue('settled', { maxAttempts: 3 })
    await expect(it.admin.createQueue('settled', { maxAttempts: 4 })).rejects.toMatchObject({
      code: 'QUEUE_EXISTS',
      message: expect.stringContaining('maxAttempts 3'),
    })
    expect((await it.admin.createQueue('settled', { maxAttempts: 3 })).maxAttempts).toBe(3)
    expect((await it.admin.createQueue('settled')).maxAttempts).toBe(3)
  })

  test('by many at the same moment makes one queue', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => it.admin.createQueue('at_once')))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  })

  test('takes the second argument of 0.1 where it asks for nothing special', async () => {
    expect((await it.admin.createQueue('old_call', false)).name).toBe('old_call')
    await expect(it.admin.createQueue('unlogged', true as never)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })

  test.each(['a', '_x', 'mail.out:v2/eu-west', 'x'.repeat(128), 'SELECT', '7'])(
    'takes %s as a name',
    async (name) => {
      await it.admin.createQueue(name)
      await it.pgqrs.producer(name).enqueue(1)
      expect(await it.pgqrs.consumer(name).dequeue()).not.toBeNull()
    },
  )

  test.each(['', ' ', '-x', '.x', 'a b', 'ä', 'a"b', "a'b", 'a;b', 'x'.repeat(129), null, 7])(
    'refuses %s as a name, with what a name may be',
    async (name) => {
      await expect(it.admin.createQueue(name as string)).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        hint: expect.stringContaining('letters, digits'),
      })
    },
  )

  test('refuses an option it does not know', async () => {
    // @ts-expect-error it is called maxAttempts
    await expect(it.admin.createQueue('x', { maxAttempt: 4 })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringContaining('Did you mean maxAttempts?'),
    })
  })
})

describe('getQueue and listQueues', () => {
  test('give the queues there are, by name', async () => {
    for (const name of ['list_b', 'list_a', 'list_C']) await it.admin.createQueue(name)
    const names = (await it.admin.listQueues()).map(({ name }) => name)
    expect(names).toEqual(names.toSorted())
    expect(names).toEqual(expect.arrayContaining(['list_C', 'list_a', 'list_b']))
  })

  test('list every queue, however many there are', async () => {
    await it.sql(`insert into pgqrs_queues (name) select 'many_' || n from generate_series(1, 2500) n`)
    const names = (await it.admin.listQueues()).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => name.startsWith('many_'))).toHaveLength(2_500)
  })

  test('name a queue that does not exist, and what to do', async () => {
    const missing = {
      code: 'QUEUE_NOT_FOUND',
      message: expect.stringContaining("'nobody'"),
      hint: expect.stringContaining('createQueue'),
    }
    const calls = ['getQueue', 'deleteQueue', 'purgeQueue', 'purgeArchive', 'queueMetrics'] as const
    for (const call of calls) await expect(it.admin[call]('nobody')).rejects.toMatchObject(missing)
  })
})

describe('deleteQueue', () => {
  test('deletes an empty queue; its name can be used again', async () => {
    const name = await it.newQueue()
    const { id } = await it.admin.getQueue(name)
    await it.admin.deleteQueue(name)
    await expect(it.admin.getQueue(name)).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
    expect((await it.admin.createQueue(name)).id).not.toBe(id)
  })

  const fillings: [what: string, fill: (queue: string) => Promise<unknown>][] = [
    ['a ready message', (queue) => it.pgqrs.producer(queue).enqueue(1)],
    ['a delayed message', (queue) => it.pgqrs.producer(queue).enqueue(1, { delay: '1h' })],
    [
      'a leased message',
      async (queue) => {
        await it.pgqrs.producer(queue).enqueue(1)
        await it.pgqrs.consumer(queue).dequeue()
      },
    ],
    [
      'an archived message',
      async (queue) => {
        const handle = it.pgqrs.queue(queue)
        await handle.archive((await handle.enqueue(1)).id)
      },
    ],
    [
      'a dead letter',
      async (queue) => {
        await it.pgqrs.producer(queue).enqueue(1)
        const consumer = it.pgqrs.consumer(queue)
        await consumer.fail((await consumer.dequeue())!, 'x', { dead: true })
      },
    ],
    ['a worker', (queue) => it.admin.workers.register(queue)],
  ]
  test.each(fillings)(
    'refuses a queue that has %s, says what to do, and deletes it when forced',
    async (_, fill) => {
      const name = await it.newQueue()
      await fill(name)
      await expect(it.admin.deleteQueue(name)).rejects.toMatchObject({
        code: 'QUEUE_NOT_EMPTY',
        message: expect.stringContaining(name),
        hint: expect.stringContaining('force'),
      })
      expect((await it.admin.getQueue(name)).name).toBe(name)
      const { id } = await it.admin.getQueue(name)
      await it.admin.deleteQueue(name, { force: true })
      for (const table of ['messages', 'archive', 'workers'])
        expect(await it.sql(`select from pgqrs_${table} where queue_id = $1`, [id])).toEqual([])
    },
  )

  test('takes workers that stopped along', async () => {
    const name = await it.newQueue()
    await it.admin.workers.stop((await it.admin.workers.register(name)).id, { now: true })
    await it.admin.deleteQueue(name)
  })

  test('makes the consumers that are still there say that the queue is gone', async () => {
    const name = await it.newQueue()
    await it.pgqrs.producer(name).enqueue(1)
    const message = (await it.pgqrs.consumer(name).dequeue())!
    await it.admin.deleteQueue(name, { force: true })
    expect(await it.pgqrs.consumer(name).archive(message)).toBe(false)
    await expect(it.pgqrs.consumer(name).dequeue()).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
    await expect(it.pgqrs.producer(name).enqueue(1)).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
  })
})

describe('purgeQueue', () => {
  test('drops ready, delayed and leased messages, says how many, and leaves the archive', async () => {
    const name = await it.newQueue()
    const producer = it.pgqrs.producer(name)
    const consumer = it.pgqrs.consumer(name)
    await producer.batchEnqueue([1, 2, 3])
    await producer.enqueue(4, { delay: '1h' })
    await consumer.archive((await consumer.dequeue())!)
    const leased = (await consumer.dequeue())!
    expect(await it.admin.purgeQueue(name)).toBe(3)
    expect(await consumer.archive(leased)).toBe(false)
    expect(await it.admin.queueMetrics(name)).toMatchObject({ totalCount: 1, archivedCount: 1 })
  })

  test('drops more than one step of it', async () => {
    const name = await it.newQueue()
    await it.pgqrs.producer(name).batchEnqueue(new Array(25_000).fill(0))
    expect(await it.admin.purgeQueue(name)).toBe(25_000)
  })
})

describe('the metrics', () => {
  test('tell ready, leased, delayed, dead and archived apart', async () => {
    const name = await it.newQueue()
    const { id } = await it.admin.getQueue(name)
    const empty = {
      queueId: id,
      name,
      pendingCount: 0,
      leasedCount: 0,
      delayedCount: 0,
      deadCount: 0,
      archivedCount: 0,
      totalCount: 0,
      oldestPendingAgeMs: null,
      estimated: false,
    }
    expect(await it.admin.queueMetrics(name)).toEqual(empty)
    const consumer = it.pgqrs.consumer(name)
    await it.pgqrs.producer(name).batchEnqueue(new Array(10).fill(0))
    await it.pgqrs.producer(name).enqueue(0, { delay: '1h' })
    const [archived, dead, ...leased] = await consumer.dequeueBatch(5)
    await consumer.archive(archived!)
    await consumer.fail(dead!, 'x', { dead: true })
    await consumer.release(leased[0]!)
    expect(await it.admin.queueMetrics(name)).toEqual({
      ...empty,
      pendingCount: 6,
      leasedCount: 2,
      delayedCount: 1,
      deadCount: 1,
      archivedCount: 1,
      totalCount: 11,
      oldestPendingAgeMs: expect.any(Number),
    })
  })

  test('say for how long the oldest ready message has been due', async () => {
    const name = await it.newQueue()
    const { id } = await it.pgqrs.producer(name).enqueue(1)
    await it.sql(`update pgqrs_messages set due_at = clock_timestamp() - interval '1 hour' where id = $1`, [
      id,
    ])
    const { oldestPendingAgeMs } = await it.admin.queueMetrics(name)
    expect(oldestPendingAgeMs).toBeGreaterThanOrEqual(3_600_000)
    expect(oldestPendingAgeMs).toBeLessThan(3_660_000)
  })

  test('of all queues are those of each, by name', async () => {
    const names = (await it.admin.listQueues()).map(({ name }) => name)
    const all = await it.admin.allQueuesMetrics()
    expect(all.map(({ name }) => name)).toEqual(names)
  })
})

describe('an admin', () => {
  test('connects by a Config or by a DSN', async () => {
    for (const to of [it.dsn, Config.fromDsn(it.dsn)]) {
      await using admin = await PgqrsAdmin.connect(to)
      expect((await admin.getQueue(await it.newQueue())).maxAttempts).toBe(5)
      expect(admin.config.schema).toBe('public')
    }
  })
})
