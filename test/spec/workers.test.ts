// Registered workers: who is there, who is alive, and what a dead one holds.

import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { Consumer } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 600 })
const workers = () => it.admin.workers

async function worker(options: { name?: string } = {}) {
  const queue = await it.newQueue()
  return { queue, worker: await workers().register(queue, options) }
}

async function makeSilent(id: string) {
  await it.sql(
    `update pgqrs_workers set heartbeat_at = clock_timestamp() - interval '2 hours' where id = $1`,
    [id],
  )
}

describe('a worker', () => {
  test('is registered for its queue, with machine and process', async () => {
    const queue = await it.newQueue()
    const registered = await workers().register(queue, { name: 'mailer' })
    expect(registered).toEqual({
      id: expect.stringMatching(/^\d+$/),
      queueId: (await it.admin.getQueue(queue)).id,
      name: 'mailer',
      hostname: hostname(),
      pid: process.pid,
      state: 'ready',
      startedAt: expect.any(Date),
      heartbeatAt: expect.any(Date),
      stoppedAt: null,
    })
    expect(await workers().list({ queue })).toEqual([registered])
  })

  test('of a queue that does not exist is refused', async () => {
    await expect(workers().register('nowhere')).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
    await expect(workers().list({ queue: 'nowhere' })).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
  })

  test('is alive while it beats', async () => {
    const { queue, worker: one } = await worker()
    expect(await workers().health({ queue })).toMatchObject([{ worker: { id: one.id }, alive: true }])
    await makeSilent(one.id)
    const [silent] = await workers().health({ workerId: one.id })
    expect(silent).toMatchObject({ alive: false })
    expect(silent!.sinceHeartbeatMs).toBeGreaterThanOrEqual(7_200_000)
    expect(await workers().health({ workerId: one.id, staleAfter: '3h' })).toMatchObject([{ alive: true }])
    const beaten = await workers().heartbeat(one.id)
    expect(beaten.heartbeatAt.getTime()).toBeGreaterThanOrEqual(one.heartbeatAt.getTime())
    expect(await workers().health({ workerId: one.id })).toMatchObject([{ alive: true }])
  })

  test('that stopped is not alive, beats no more, and stays listed', async () => {
    const { queue, worker: one } = await worker()
    const stopped = await workers().stop(one.id, { now: true })
    expect(stopped).toMatchObject({ state: 'stopped', stoppedAt: expect.any(Date) })
    for (const options of [{ now: true }, {}])
      expect((await workers().stop(one.id, options)).stoppedAt).toEqual(stopped.stoppedAt)
    expect(await workers().health({ queue })).toMatchObject([{ alive: false }])
    await expect(workers().heartbeat(one.id)).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' })
    expect(await workers().list({ queue })).toEqual([stopped])
  })

  test('that is not there is an error with its id', async () => {
    for (const call of ['heartbeat', 'suspend', 'resume', 'stop', 'release'] as const)
      await expect(workers()[call]('8999999999999999999')).rejects.toMatchObject({
        code: 'WORKER_NOT_FOUND',
        message: expect.stringContaining('8999999999999999999'),
      })
  })

  test('list comes in pages', async () => {
    const queue = await it.newQueue()
    for (let n = 0; n < 4; n++) await workers().register(queue)
    const all = await workers().list({ queue })
    expect(await workers().list({ queue, limit: 2, offset: 1 })).toEqual(all.slice(1, 3))
    await expect(workers().list({ limit: 10_001 })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe('from outside', () => {
  test('a worker is asked to be suspended, to go on, and to stop, and learns it from its heartbeat', async () => {
    const { worker: one } = await worker()
    expect(await workers().suspend(one.id)).toMatchObject({ state: 'suspended' })
    expect(await workers().heartbeat(one.id)).toMatchObject({ state: 'suspended' })
    expect(await workers().health({ workerId: one.id })).toMatchObject([{ alive: true }])
    expect(await workers().resume(one.id)).toMatchObject({ state: 'ready' })
    expect(await workers().stop(one.id)).toMatchObject({ state: 'stopping', stoppedAt: null })
    expect(await workers().heartbeat(one.id)).toMatchObject({ state: 'stopping' })
    await workers().stop(one.id, { now: true })
    for (const call of ['suspend', 'resume'] as const)
      await expect(workers()[call](one.id)).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' })
  })

  test('one that does not beat is stopped without being asked', async () => {
    const { worker: one } = await worker()
    await makeSilent(one.id)
    expect(await workers().stop(one.id)).toMatchObject({ state: 'stopped', stoppedAt: expect.any(Date) })
  })

  test('one that was taken for dead cannot be asked, is stopped, or is ready when it beats again', async () => {
    const dead = async () => {
      const { worker: one } = await worker()
      await it.sql(`update pgqrs_workers set state = 'dead' where id = $1`, [one.id])
      return one.id
    }
    await expect(workers().suspend(await dead())).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' })
    expect(await workers().stop(await dead())).toMatchObject({ state: 'stopped' })
    expect(await workers().heartbeat(await dead())).toMatchObject({ state: 'ready' })
  })
})

describe('what a dead worker holds', () => {
  async function holding(options: { maxAttempts?: number } = {}) {
    const { queue, worker: one } = await worker()
    const other = await workers().register(queue)
    await it.pgqrs.producer(queue).batchEnqueue([1, 2, 3, 4, 5], options)
    const consumer = new Consumer(it.admin.pool, queue, it.admin.config, { workerId: one.id })
    const held = await consumer.dequeueBatch(3)
    const next = new Consumer(it.admin.pool, queue, it.admin.config, { workerId: other.id })
    const [kept] = await next.dequeueBatch(1)
    return { queue, one, consumer, held, next, kept: kept! }
  }

  test('is ready at once after its release; others keep what they hold', async () => {
    const { one, consumer, held, next, kept } = await holding()
    await makeSilent(one.id)
    expect(await workers().release(one.id)).toBe(3)
    expect(await workers().release(one.id)).toBe(0)
    expect(await consumer.archive(held[0]!)).toBe(false)
    expect((await next.dequeueBatch(10)).map(({ payload, attempt }) => [payload, attempt])).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
      [5, 1],
    ])
    expect(await next.archive(kept)).toBe(true)
  })

  test('is not released while it is alive, unless forced', async () => {
    const { one } = await holding()
    await expect(workers().release(one.id)).rejects.toMatchObject({
      code: 'WORKER_ALIVE',
      hint: expect.stringContaining('force'),
    })
    expect(await workers().release(one.id, { force: true })).toBe(3)
  })

  test('is released after it was stopped', async () => {
    const { one } = await holding()
    await workers().stop(one.id, { now: true })
    expect(await workers().release(one.id)).toBe(3)
  })

  test('counts as an attempt: after the last one it is a dead letter, not a message that is never found', async () => {
    const { queue, one, next } = await holding({ maxAttempts: 1 })
    await workers().release(one.id, { force: true })
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ deadCount: 3, pendingCount: 1 })
    expect((await next.dequeueBatch(10)).map(({ payload }) => payload)).toEqual([5])
    expect(await it.admin.deadLetters.count(queue)).toBe(3)
  })
})

describe('purge', () => {
  test('removes workers that stopped or fell silent long enough ago, of one queue or of all', async () => {
    const { queue, worker: silent } = await worker()
    const stopped = await workers().register(queue)
    const alive = await workers().register(queue)
    const elsewhere = await worker()
    await makeSilent(silent.id)
    await makeSilent(elsewhere.worker.id)
    await workers().stop(stopped.id, { now: true })
    expect(await workers().purge({ queue })).toBe(1)
    expect(await workers().purge({ queue, olderThan: 0 })).toBeGreaterThanOrEqual(1)
    expect(
      (await workers().list({ queue })).filter(({ id }) => id === stopped.id || id === silent.id),
    ).toEqual([])
    expect(await workers().list({ queue: elsewhere.queue })).toHaveLength(1)
    expect(await workers().purge()).toBeGreaterThanOrEqual(1)
    expect(await workers().list({ queue: elsewhere.queue })).toEqual([])
    expect(alive.state).toBe('ready')
  })

  test('leaves the messages alone', async () => {
    const { queue, worker: one } = await worker()
    await it.pgqrs.producer(queue).enqueue(1)
    const consumer = new Consumer(it.admin.pool, queue, it.admin.config, { workerId: one.id })
    const message = (await consumer.dequeue())!
    await workers().stop(one.id, { now: true })
    await workers().purge({ queue, olderThan: 0 })
    expect(await consumer.archive(message)).toBe(true)
  })
})

test('workerManagement() is the same as workers', () => {
  expect(it.admin.workerManagement()).toBe(it.admin.workers)
})
