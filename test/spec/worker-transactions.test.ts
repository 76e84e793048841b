// A handler's own transaction: what it writes and the settle of its message are one commit, or nothing.

import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { PgqrsArchiveTable, type PgqrsError, PgqrsMessages } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, workersOf } from '../harness/workers.js'

const it = spec()
const workers = workersOf(it)
const live = (id: string) => new PgqrsMessages(it.admin.pool).get(id)
const kept = (id: string) => new PgqrsArchiveTable(it.admin.pool).get(id)
const settled = (id: string) => eventually(() => kept(id), { what: `message ${id} in the archive` })
const enqueue = (name: string, payload: unknown = 'x', options: { maxAttempts?: number } = {}) =>
  it.pgqrs.producer(name).enqueue(payload, options)
const write = (client: pg.PoolClient, id: string, what = 'written') =>
  client.query('insert into writes (message, what) values ($1, $2)', [id, what])
const written = async (id: string) =>
  (await it.sql('select what from writes where message = $1 order by what', [id])).map(({ what }) => what)
/** As if somebody else had been given the message. */
const takeAway = (id: string) =>
  it.sql(
    `update pgqrs_messages set attempt = attempt + 1, leased_until = clock_timestamp() + interval '1 minute'
     where id = $1`,
    [id],
  )

beforeAll(async () => {
  await it.sql('create table writes (message bigint, what text)')
})

describe('tx in a handler', () => {
  test('commits what it wrote and the settle together', async () => {
    const name = await it.newQueue()
    const inside = deferred()
    const goOn = deferred()
    await workers.start(name, async ({ id }, { tx }) => {
      await tx(async (client) => {
        await write(client, id)
        inside.resolve()
        await goOn.promise
      })
    })
    const { id } = await enqueue(name)
    await inside.promise
    expect([await written(id), await kept(id)]).toEqual([[], null])
    goOn.resolve()
    await settled(id)
    expect(await written(id)).toEqual(['written'])
    // In one transaction: the rows have the same one.
    const [row] = await it.sql<{ same: boolean }>(
      'select w.xmin = a.xmin as same from writes w join pgqrs_archive a on a.id = w.message where a.id = $1',
      [id],
    )
    expect(row).toEqual({ same: true })
  })

  test('has settled the message when it resolves; the rest of the handler settles nothing more', async () => {
    const name = await it.newQueue()
    const outcome = deferred<unknown>()
    const worker = await workers.start(name, async ({ id }, { tx }) => {
      const value = await tx((client) => write(client, id).then(() => 42))
      outcome.resolve([value, (await kept(id))?.outcome])
    })
    const succeeded = next(worker, 'succeeded')
    await enqueue(name)
    expect(await outcome.promise).toEqual([42, 'archived'])
    await succeeded
    expect(worker.counters).toMatchObject({ started: 1, succeeded: 1, failed: 0, lost: 0 })
  })

  test('deletes where success deletes, and keeps its result where results are kept', async () => {
    const [deleting, keeping] = [await it.newQueue(), await it.newQueue()]
    const handler = (_: unknown, context: unknown) =>
      (context as { tx: (work: () => Promise<unknown>) => Promise<unknown> }).tx(async () => ({ of: 'tx' }))
    const worker = await workers.serve([
      { queue: deleting, handler, onSuccess: 'delete' },
      { queue: keeping, handler, keepResult: true },
    ])
    const gone = next(worker, 'succeeded', ({ queue }) => queue === deleting)
    const [first, second] = await Promise.all([enqueue(deleting), enqueue(keeping)])
    await gone
    expect([await live(first.id), await kept(first.id)]).toEqual([null, null])
    expect((await settled(second.id)).result).toEqual({ of: 'tx' })
  })

  test('enqueues with the client in the same commit', async () => {
    const [name, following] = [await it.newQueue(), await it.newQueue()]
    await workers.start(name, (_, { tx }) =>
      tx((client) => it.pgqrs.producer(following).enqueue('next', { tx: client })),
    )
    const { id } = await enqueue(name)
    await settled(id)
    expect(await it.pgqrs.consumer(following).dequeue()).toMatchObject({ payload: 'next' })
  })

  test('that throws has written nothing, and the message is tried again', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      async ({ id }, { tx, attempt }) => {
        await tx(async (client) => {
          await write(client, id, `attempt ${attempt}`)
          if (attempt === 1) throw new Error('inside')
        })
      },
      { backoff: 0 },
    )
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({
      outcome: 'archived',
      attempt: 2,
      lastError: expect.stringContaining('inside'),
    })
    expect(await written(id)).toEqual(['attempt 2'])
    expect(worker.counters).toMatchObject({ failed: 1, retried: 1, succeeded: 1, lost: 0 })
  })

  test('with a statement that fails is a failure of the message, and costs no connection', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      (_, { tx }) => tx((client) => client.query('select no such thing')),
      {
        backoff: '1h',
      },
    )
    const failed = next(worker, 'retried')
    const { id } = await enqueue(name)
    await failed
    expect((await live(id))?.lastError).toMatch(/no.*such|column|syntax/)
    await eventually(() => it.pgqrs.pool.idleCount === it.pgqrs.pool.totalCount)
  })

  test('may be tried again by its handler when it was rolled back', async () => {
    const name = await it.newQueue()
    await workers.start(name, async ({ id }, { tx }) => {
      await tx(async (client) => {
        await write(client, id, 'first')
        throw new Error('not this way')
      }).catch(() => {})
      await tx((client) => write(client, id, 'second'))
    })
    const { id } = await enqueue(name)
    expect(await settled(id)).toMatchObject({ attempt: 1, outcome: 'archived' })
    expect(await written(id)).toEqual(['second'])
  })

  test('that was rolled back and caught leaves the settle to the handler', async () => {
    const name = await it.newQueue()
    await workers.start(name, async (_, { tx }) => {
      await tx(() => Promise.reject(new Error('never mind'))).catch(() => {})
    })
    const { id } = await enqueue(name)
    expect((await settled(id)).outcome).toBe('archived')
  })

  test('is refused a second time', async () => {
    const name = await it.newQueue()
    const refused = deferred<PgqrsError>()
    const worker = await workers.start(name, async ({ id }, { tx }) => {
      await tx((client) => write(client, id, 'first'))
      await tx((client) => write(client, id, 'second')).catch((error) => refused.resolve(error))
    })
    const { id } = await enqueue(name)
    expect(await refused.promise).toMatchObject({ code: 'ARGUMENT_INVALID' })
    await eventually(() => worker.counters.succeeded === 1)
    expect(await written(id)).toEqual(['first'])
  })

  test('is refused while another one of the same message is open', async () => {
    const name = await it.newQueue()
    const results = deferred<PromiseSettledResult<unknown>[]>()
    const worker = await workers.start(name, async ({ id }, { tx }) => {
      results.resolve(
        await Promise.allSettled(['a', 'b'].map((what) => tx((client) => write(client, id, what)))),
      )
    })
    const succeeded = next(worker, 'succeeded')
    const { id } = await enqueue(name)
    const [first, second] = await results.promise
    expect(first).toMatchObject({ status: 'fulfilled' })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'ARGUMENT_INVALID' } })
    await succeeded
    expect(await written(id)).toEqual(['a'])
    expect(worker.counters.lost).toBe(0)
  })

  test('that committed is a success, whatever its handler throws after it', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, async ({ id }, { tx }) => {
      await tx((client) => write(client, id))
      throw new Error('after it')
    })
    const told = Promise.all([next(worker, 'error'), next(worker, 'succeeded')])
    const { id } = await enqueue(name)
    expect((await told)[0]).toMatchObject({ message: 'after it' })
    expect(await settled(id)).toMatchObject({ outcome: 'archived', attempt: 1, lastError: null })
    expect(worker.counters).toMatchObject({ succeeded: 1, failed: 0, retried: 0 })
  })

  test('that committed is a success, whatever result its handler returns after it', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      async (_, { tx }) => {
        await tx(async () => 'good')
        return () => 'no JSON'
      },
      { keepResult: true },
    )
    const { id } = await enqueue(name)
    expect((await settled(id)).result).toBe('good')
    await eventually(() => worker.counters.succeeded === 1)
    expect(worker.counters.failed).toBe(0)
  })
})

describe('tx of a worker that has lost the message', () => {
  async function takenAwayInside(end: 'resolve' | 'throw' = 'resolve') {
    const name = await it.newQueue()
    const error = deferred<PgqrsError>()
    const inside = deferred()
    const goOn = deferred()
    const worker = await workers.start(
      name,
      async ({ id }, { tx }) => {
        try {
          await tx(async (client) => {
            await write(client, id)
            inside.resolve()
            await goOn.promise
          })
        } catch (thrown) {
          error.resolve(thrown as PgqrsError)
          if (end === 'throw') throw thrown
        }
      },
      { lease: '1h' },
    )
    const events = heardFrom(worker, 'succeeded', 'failed', 'retried', 'dead')
    const lost = next(worker, 'lost')
    const { id } = await enqueue(name)
    await inside.promise
    await takeAway(id)
    goOn.resolve()
    return { id, worker, events, lost, error: await error.promise }
  }

  test.each(['throw', 'resolve'] as const)(
    'in the middle cannot commit, and has failed nothing (a handler that will %s)',
    async (end) => {
      const { id, worker, events, lost, error } = await takenAwayInside(end)
      expect(error).toMatchObject({ code: 'LEASE_LOST' })
      await lost
      await worker.stop()
      expect(await written(id)).toEqual([])
      expect(await live(id)).toMatchObject({ attempt: 2, lastError: null })
      expect(events).toEqual([])
    },
  )

  test('by its lease running out cannot commit', async () => {
    const name = await it.newQueue()
    const error = deferred<PgqrsError>()
    const worker = await workers.start(
      name,
      async ({ id }, { tx, attempt }) => {
        if (attempt > 1) return
        await tx(async (client) => {
          await write(client, id)
          await it.sql(
            `update pgqrs_messages set leased_until = clock_timestamp() - interval '1 s' where id = $1`,
            [id],
          )
          await eventually(() => worker.counters.lost === 1)
        }).catch((thrown) => {
          error.resolve(thrown)
          throw thrown
        })
      },
      { lease: 300 },
    )
    const { id } = await enqueue(name)
    expect(await error.promise).toMatchObject({ code: 'LEASE_LOST' })
    expect(await settled(id)).toMatchObject({ attempt: 2, outcome: 'archived' })
    expect(await written(id)).toEqual([])
  })

  test('before it does not begin', async () => {
    const name = await it.newQueue()
    const error = deferred<PgqrsError>()
    const started = deferred()
    let worked = false
    await workers.start(
      name,
      async ({ id }, { tx, signal, attempt }) => {
        if (attempt > 1) return
        started.resolve()
        await new Promise((done) => signal.addEventListener('abort', done))
        await tx(async (client) => {
          worked = true
          await write(client, id)
        }).catch((thrown) => error.resolve(thrown))
      },
      { lease: 300 },
    )
    const { id } = await enqueue(name)
    await started.promise
    await takeAway(id)
    expect(await error.promise).toMatchObject({ code: 'LEASE_LOST' })
    expect([worked, await written(id)]).toEqual([false, []])
  })

  test('to a timeout cannot commit either: the attempt has failed', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    const goOn = deferred()
    const error = deferred<PgqrsError>()
    const worker = await workers.start(
      name,
      ({ id }, { tx }) =>
        tx(async (client) => {
          await write(client, id)
          await goOn.promise
        }).catch((thrown) => error.resolve(thrown)),
      { timeout: 60 },
    )
    const dead = next(worker, 'dead')
    const { id } = await enqueue(name)
    await dead
    goOn.resolve()
    expect(await error.promise).toMatchObject({ code: expect.stringMatching(/LEASE_LOST|HANDLER_TIMEOUT/) })
    expect(await settled(id)).toMatchObject({ outcome: 'dead' })
    expect(await written(id)).toEqual([])
    expect(worker.counters).toMatchObject({ failed: 1, dead: 1, succeeded: 0, lost: 0 })
  })
})

test('leases are renewed while a transaction is open longer than the lease', async () => {
  const name = await it.newQueue()
  const lease = 300
  const worker = await workers.start(
    name,
    async ({ id, dequeuedAt }, { tx }) => {
      await tx(async (client) => {
        await write(client, id)
        await eventually(async () => {
          const [row] = await it.sql<{ ms: number }>(
            `select (extract(epoch from clock_timestamp() - $1::timestamptz) * 1000)::float8 as ms`,
            [dequeuedAt],
          )
          return row!.ms > 3 * lease
        })
      })
    },
    { lease },
  )
  const { id } = await enqueue(name)
  expect(await settled(id)).toMatchObject({ attempt: 1, outcome: 'archived' })
  expect(await written(id)).toEqual(['written'])
  await eventually(() => worker.counters.succeeded === 1)
  expect(worker.counters.lost).toBe(0)
})

test('many transactions at once, more than the pool has connections, all commit once', async () => {
  const name = await it.newQueue()
  const worker = await workers.start(name, ({ id }, { tx }) => tx((client) => write(client, id, 'many')), {
    concurrency: 40,
    lease: 500,
  })
  const messages = await it.pgqrs.producer(name).batchEnqueue(Array.from({ length: 200 }, (_, n) => n))
  await eventually(() => worker.counters.succeeded === 200)
  const [row] = await it.sql<{ all: number; different: number }>(
    `select count(*)::int as all, count(distinct message)::int as different from writes where what = 'many'`,
  )
  expect(row).toEqual({ all: 200, different: 200 })
  expect(messages).toHaveLength(200)
  expect(worker.counters).toMatchObject({ lost: 0, failed: 0 })
})
