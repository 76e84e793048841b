// What is closed is over: nothing keeps the process alive.

import { describe, expect, test } from 'vitest'
import { connect, PgqrsAdmin } from '../../src/index.js'
import { startProcess } from '../harness/processes.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('close', () => {
  test('lets the program end by itself', async () => {
    const program = startProcess('../programs/one-round.ts', import.meta.url, {
      args: [it.dsn],
      timeoutMs: 20_000,
    })
    expect(await program.exited()).toEqual({ code: 0, signal: null })
    expect(program.stderr()).toBe('')
  })

  test('twice is the same as once', async () => {
    const pgqrs = await connect(it.dsn)
    await pgqrs.close()
    await pgqrs.close()
    const admin = await PgqrsAdmin.connect(it.dsn)
    await Promise.all([admin.close(), admin.close()])
  })

  test('waits for what has begun', async () => {
    const name = await it.newQueue()
    const pgqrs = await connect(it.dsn)
    const enqueued = Array.from({ length: 50 }, (_, n) => pgqrs.producer(name).enqueue(n))
    await Promise.all(enqueued)
    await pgqrs.close()
    expect((await it.admin.queueMetrics(name)).totalCount).toBe(50)
  })

  test('makes every later call an error with a code', async () => {
    const name = await it.newQueue()
    const pgqrs = await connect(it.dsn)
    await pgqrs.close()
    await expect(pgqrs.consumer(name).dequeue()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('comes by itself at the end of a block', async () => {
    const name = await it.newQueue()
    let kept: Awaited<ReturnType<typeof connect>>
    {
      await using pgqrs = await connect(it.dsn)
      await pgqrs.producer(name).enqueue(1)
      kept = pgqrs
    }
    await expect(kept.producer(name).enqueue(2)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
