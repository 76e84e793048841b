// Failed attempts, dead letters, and the way back.

import { describe, expect, test } from 'vitest'
import { PgqrsArchiveTable, PgqrsMessages } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })

async function held(options: { maxAttempts?: number } = {}) {
  const queue = await it.newQueue()
  await it.pgqrs.producer(queue).enqueue({ job: 1 }, options)
  const consumer = it.pgqrs.consumer(queue, {})
  return { queue, consumer, message: (await consumer.dequeue())! }
}

describe('a failed attempt', () => {
  test('is tried again after the delay that the call gives, with its error on the message', async () => {
    const { consumer, message } = await held()
    expect(await consumer.fail(message, 'out of paper', { delay: 80 })).toBe('retried')
    expect(await consumer.dequeue()).toBeNull()
    expect(await eventually(() => consumer.dequeue())).toMatchObject({
      id: message.id,
      attempt: 2,
      lastError: 'out of paper',
      payload: { job: 1 },
    })
  })

  test('waits longer from attempt to attempt where no delay is given, and not all the same', async () => {
    const { queue, consumer, message } = await held({ maxAttempts: 20 })
    let last = message
    const waits: number[] = []
    for (let n = 0; n < 14; n++) {
      const [before] = await it.sql<{ now: Date }>('select clock_timestamp() as now')
      expect(await consumer.fail(last, new Error('again'))).toBe('retried')
      const { dueAt } = (await new PgqrsMessages(it.admin.pool).get(message.id))!
      waits.push(dueAt.getTime() - before!.now.getTime())
      await it.sql('update pgqrs_messages set due_at = clock_timestamp() where id = $1', [message.id])
      last = (await it.pgqrs.consumer(queue).dequeue())!
    }
    for (const [n, wait] of waits.entries()) {
      const full = Math.min(3_600_000, 1_000 * 2 ** n)
      expect(wait).toBeGreaterThanOrEqual(full / 2 - 1)
      expect(wait).toBeLessThan(full + 1_000)
    }
  })

  test('keeps the stack of an Error, and of a long text the beginning', async () => {
    const { queue, consumer, message } = await held()
    await consumer.fail(message, new TypeError('no such user'), { delay: 0 })
    const second = (await consumer.dequeue())!
    expect(second.lastError).toMatch(/^TypeError: no such user\n\s+at /)
    await consumer.fail(second, `${'x'.repeat(7_998)}\u{1f600}\u0000${'y'.repeat(10_000)}`, { delay: 0 })
    const third = (await it.pgqrs.consumer(queue).dequeue())!
    expect(third.lastError!.length).toBeLessThanOrEqual(8_000)
    expect(third.lastError!.isWellFormed()).toBe(true)
  })

  test.each([[undefined], [null], [7], [{ a: 1 }]])(
    'may be told by anything that was thrown, %s too',
    async (thrown) => {
      const { consumer, message } = await held()
      await consumer.fail(message, thrown, { delay: 0 })
      expect((await consumer.dequeue())?.lastError).toBe(String(thrown))
    },
  )
})

describe('after the last attempt', () => {
  test('a message is a dead letter with its last error, and not delivered again', async () => {
    const { queue, consumer, message } = await held({ maxAttempts: 2 })
    expect(await consumer.fail(message, 'first', { delay: 0 })).toBe('retried')
    const last = (await consumer.dequeue())!
    expect(await consumer.fail(last, 'second', { delay: 0 })).toBe('dead')
    expect(await consumer.dequeue()).toBeNull()
    expect(await it.admin.deadLetters.list(queue)).toMatchObject([
      { id: message.id, outcome: 'dead', lastError: 'second', attempt: 2, payload: { job: 1 } },
    ])
    expect(await it.admin.queueMetrics(queue)).toMatchObject({
      deadCount: 1,
      archivedCount: 0,
      totalCount: 1,
    })
  })

  test('is after 5 attempts, unless the queue says otherwise, and the message before that', async () => {
    const ofQueue = await it.newQueue({ maxAttempts: 3 })
    const attemptsOf = async (queue: string, options: { maxAttempts?: number } = {}) => {
      await it.pgqrs.producer(queue).enqueue(1, options)
      const consumer = it.pgqrs.consumer(queue)
      for (let attempts = 1; ; attempts++)
        if ((await consumer.fail((await consumer.dequeue())!, 'x', { delay: 0 })) === 'dead') return attempts
    }
    expect(await attemptsOf(await it.newQueue())).toBe(5)
    expect(await attemptsOf(ofQueue)).toBe(3)
    expect(await attemptsOf(ofQueue, { maxAttempts: 1 })).toBe(1)
  })

  test('is also when the lease of the last attempt runs out: with the error of the attempt before', async () => {
    const { queue, consumer, message } = await held({ maxAttempts: 2 })
    await consumer.fail(message, 'the disk is full', { delay: 0 })
    await consumer.dequeue()
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ leasedCount: 1, deadCount: 0 })
    await it.expireLeases(queue)
    expect(await it.admin.queueMetrics(queue)).toMatchObject({
      leasedCount: 0,
      pendingCount: 0,
      deadCount: 1,
    })
    expect(await consumer.dequeue()).toBeNull()
    const [dead] = await it.admin.deadLetters.list(queue)
    expect(dead?.lastError).toMatch(/lease of attempt 2 ran out.*the disk is full/)
  })

  test('the message behind it is delivered in the same call', async () => {
    const { queue, consumer } = await held({ maxAttempts: 1 })
    await it.pgqrs.producer(queue).batchEnqueue(['next', 'after'])
    await it.expireLeases(queue)
    expect((await consumer.dequeueBatch(2)).map(({ payload }) => payload)).toEqual(['next', 'after'])
    expect(await it.admin.deadLetters.count(queue)).toBe(1)
  })

  test('its consumer may still settle it, as long as nobody found that out', async () => {
    const { queue, consumer, message } = await held({ maxAttempts: 1 })
    await it.expireLeases(queue)
    expect(await consumer.archive(message)).toBe(true)
    expect(await it.admin.deadLetters.count(queue)).toBe(0)
  })

  test('and not before, where the consumer says that no further attempt makes sense', async () => {
    const { queue, consumer, message } = await held()
    expect(await consumer.fail(message, 'no such address', { dead: true })).toBe('dead')
    expect((await it.admin.deadLetters.list(queue))[0]).toMatchObject({
      attempt: 1,
      lastError: 'no such address',
    })
  })

  test.each([0, -1, 1.5, 1_001, '5', Number.NaN])('maxAttempts of %s is refused', async (maxAttempts) => {
    const queue = await it.newQueue()
    const options = { maxAttempts: maxAttempts as number }
    const refusal = { code: 'ARGUMENT_INVALID', message: expect.stringMatching(/^maxAttempts: /) }
    await expect(it.pgqrs.producer(queue).enqueue(1, options)).rejects.toMatchObject(refusal)
    await expect(it.admin.createQueue('never', options)).rejects.toMatchObject(refusal)
  })
})

describe('dead letters', () => {
  async function dead(count: number) {
    const queue = await it.newQueue()
    const stored = await it.pgqrs.producer(queue).batchEnqueue(
      Array.from({ length: count }, (_, n) => n),
      { headers: { h: 1 }, priority: 4 },
    )
    const consumer = it.pgqrs.consumer(queue, {})
    for (const message of await consumer.dequeueBatch(count))
      await consumer.fail(message, `no ${message.payload}`, { dead: true })
    return { queue, consumer, ids: stored.map(({ id }) => id) }
  }

  test('are listed, the most recent first, in pages, and counted', async () => {
    const { queue, ids } = await dead(5)
    const recent = ids.toReversed()
    const page = async (options?: object) =>
      (await it.admin.deadLetters.list(queue, options)).map(({ id }) => id)
    expect(await page()).toEqual(recent)
    expect(await page({ limit: 2, offset: 1 })).toEqual(recent.slice(1, 3))
    expect(await page({ offset: 5 })).toEqual([])
    expect(await it.admin.deadLetters.count(queue)).toBe(5)
  })

  test('do not count as archived, and are not listed with other queues', async () => {
    const { queue } = await dead(1)
    const other = await it.newQueue()
    expect(await it.admin.deadLetters.list(other)).toEqual([])
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ deadCount: 1, archivedCount: 0 })
  })

  test('are put back by redrive: ready now, as they were, with all their attempts before them', async () => {
    const { queue, consumer, ids } = await dead(2)
    expect((await it.admin.deadLetters.redrive(queue)).sort()).toEqual(ids.toSorted())
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ pendingCount: 2, deadCount: 0, totalCount: 2 })
    for (let attempts = 1; attempts <= 5; attempts++) {
      const message = (await consumer.dequeue())!
      expect(message).toMatchObject({
        id: ids[0],
        payload: 0,
        headers: { h: 1 },
        priority: 4,
        attempt: 1 + attempts,
      })
      if (attempts === 1) expect(message.lastError).toBe('no 0')
      const more = attempts < 5 ? 'retried' : 'dead'
      expect(await consumer.fail(message, 'x', { delay: 0 })).toBe(more)
      await it.sql(`update pgqrs_messages set due_at = '2020-01-01' where id = $1`, [message.id])
    }
  })

  test('are redriven the oldest first, so many as the call says', async () => {
    const { queue, ids } = await dead(4)
    expect((await it.admin.deadLetters.redrive(queue, { limit: 2 })).sort()).toEqual(ids.slice(0, 2))
    expect(await it.admin.deadLetters.count(queue)).toBe(2)
  })

  test('are redriven by id; ids that are no dead letters of the queue are passed over', async () => {
    const { queue, ids } = await dead(2)
    const elsewhere = await dead(1)
    const given = [ids[1]!, elsewhere.ids[0]!, '8999999999999999999']
    expect(await it.admin.deadLetters.redrive(queue, { ids: given })).toEqual([ids[1]])
    expect(await it.admin.deadLetters.redrive(queue, { ids: [] })).toEqual([])
    expect(await it.admin.deadLetters.count(elsewhere.queue)).toBe(1)
  })

  test('that were redriven cannot be settled by who held them before', async () => {
    const { queue, consumer, message } = await held({ maxAttempts: 1 })
    await it.expireLeases(queue)
    expect(await consumer.dequeue()).toBeNull()
    await it.admin.deadLetters.redrive(queue)
    expect(await consumer.archive(message)).toBe(false)
    const again = (await consumer.dequeue())!
    expect(await consumer.archive(message)).toBe(false)
    expect(await consumer.archive(again)).toBe(true)
  })

  test('are redriven once by many operators at the same moment', async () => {
    const { queue, ids } = await dead(20)
    const redriven = await Promise.all([1, 2, 3, 4].map(() => it.admin.deadLetters.redrive(queue)))
    expect(redriven.flat().sort()).toEqual(ids.toSorted())
  })

  test('outlive a purge of the archive, unless the purge says so', async () => {
    const { queue } = await dead(2)
    expect(await it.admin.purgeArchive(queue)).toBe(0)
    expect(await it.admin.deadLetters.count(queue)).toBe(2)
    expect(await it.admin.purgeArchive(queue, { dead: true })).toBe(2)
    expect(await it.admin.deadLetters.count(queue)).toBe(0)
  })

  test('can be looked at one by one', async () => {
    const { ids } = await dead(1)
    expect(await new PgqrsArchiveTable(it.admin.pool).get(ids[0]!)).toMatchObject({ outcome: 'dead' })
  })

  test('of a queue that does not exist are an error that names it', async () => {
    const missing = { code: 'QUEUE_NOT_FOUND', message: expect.stringContaining("'gone'") }
    await expect(it.admin.deadLetters.list('gone')).rejects.toMatchObject(missing)
    await expect(it.admin.deadLetters.count('gone')).rejects.toMatchObject(missing)
    await expect(it.admin.deadLetters.redrive('gone')).rejects.toMatchObject(missing)
  })
})
