// Every error says what happened and what to do, with a code to branch on.

import { describe, expect, test } from 'vitest'
import { PgqrsError } from '../../src/index.js'
import { errorCodes } from '../../src/words/errors.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('an error', () => {
  const failing: [name: string, code: string, fail: (queue: string) => Promise<unknown>][] = [
    ['a queue that is not there', 'QUEUE_NOT_FOUND', () => it.pgqrs.producer('gone').enqueue(1)],
    ['a bad payload', 'PAYLOAD_INVALID', (queue) => it.pgqrs.producer(queue).enqueue(undefined)],
    ['a bad argument', 'ARGUMENT_INVALID', (queue) => it.pgqrs.consumer(queue).dequeueBatch(0)],
    ['a worker that is not there', 'WORKER_NOT_FOUND', () => it.admin.workers.stop(0)],
    [
      'a queue with messages',
      'QUEUE_NOT_EMPTY',
      async (queue) => {
        await it.pgqrs.producer(queue).enqueue(1)
        await it.admin.deleteQueue(queue)
      },
    ],
    [
      'a rate limit',
      'RATE_LIMITED',
      (queue) => it.pgqrs.producer(queue, { rateLimit: { perSecond: 1 } }).batchEnqueue([1, 2]),
    ],
  ]
  test.each(failing)('of %s has a code, a sentence, a hint, and a stack', async (_, code, fail) => {
    const error = (await fail(await it.newQueue()).catch((error) => error)) as PgqrsError
    expect(error).toBeInstanceOf(PgqrsError)
    expect(error).toBeInstanceOf(Error)
    expect(errorCodes).toContain(error.code)
    expect(error).toMatchObject({ name: 'PgqrsError', code, hint: expect.stringMatching(/^[A-Z].*[.:]/s) })
    expect(error.message).toMatch(/[.!?]$/)
    expect(error.stack).toContain(error.message)
    expect(PgqrsError.is(error, code as never)).toBe(true)
    expect(PgqrsError.is(error, 'CLOSED')).toBe(false)
    expect(PgqrsError.is(new Error('x'))).toBe(false)
  })

  test('of the server keeps its cause and its SQLSTATE', async () => {
    const error: PgqrsError = await it.pgqrs
      .producer('gone')
      .enqueue(1)
      .then(
        () => null as never,
        (error) => error,
      )
    expect(error.details.sqlstate).toBe('PQ001')
    expect(error.cause).toMatchObject({ code: 'PQ001' })
  })

  test('of a call shows where it was called, of one among many at the same moment too', async () => {
    const results = await Promise.allSettled([1, 2].map(() => it.pgqrs.producer('gone').enqueue(1)))
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'QUEUE_NOT_FOUND' } })
  })

  test('of a statement that was cancelled says so', async () => {
    const name = await it.newQueue()
    await it.transaction('rollback', async (tx) => {
      await tx.query(`set local lock_timeout = '50ms'`)
      const blocker = await it.outside.connect()
      await blocker.query('begin')
      await blocker.query('lock table pgqrs_messages in access exclusive mode')
      await expect(it.pgqrs.producer(name).enqueue(1, { tx })).rejects.toMatchObject({
        code: 'DATABASE_TIMEOUT',
      })
      await blocker.query('rollback')
      blocker.release()
    })
  })

  test('of a misspelt option names what was meant, wherever options are taken', async () => {
    const queue = await it.newQueue()
    const calls: [() => Promise<unknown>, string][] = [
      [() => it.pgqrs.producer(queue).enqueue(1, { dealy: 1 } as object), 'delay'],
      [() => it.pgqrs.producer(queue).batchEnqueue([1], { header: {} } as object), 'headers'],
      [() => it.pgqrs.consumer(queue).dequeue({ leas: 1 } as object), 'lease'],
      [() => it.pgqrs.consumer(queue).archive('1', { archiveBy: 'x' } as object), 'archivedBy'],
      [() => it.pgqrs.consumer(queue).release('1', { dela: 1 } as object), 'delay'],
      [() => it.pgqrs.consumer(queue).fail('1', 'x', { ded: true } as object), 'dead'],
      [() => it.admin.deleteQueue(queue, { forced: true } as object), 'force'],
      [() => it.admin.purgeArchive(queue, { deda: true } as object), 'dead'],
      [() => it.admin.deadLetters.redrive(queue, { limt: 1 } as object), 'limit'],
      [() => it.admin.workers.register(queue, { host_name: 'x' } as object), 'hostname'],
      [() => it.admin.install({ createSchemas: true } as object), 'createSchema'],
      [async () => it.pgqrs.producer(queue, { ratelimit: null } as object), 'rateLimit'],
      [async () => it.pgqrs.consumer(queue, { worker_id: 1 } as object), 'workerId'],
    ]
    for (const [call, meant] of calls)
      await expect(Promise.resolve().then(call)).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        hint: expect.stringContaining(`Did you mean ${meant}?`),
      })
  })
})
