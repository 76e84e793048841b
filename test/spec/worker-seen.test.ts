// What can be seen of a worker: its events and counters, its rows in the database, its states; and what of the
// database it sees: queues that come, go, and are paused.

import { hostname } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Database } from '../../src/database/database.js'
import { askedOfWorkers } from '../../src/database/notifier.js'
import { connect, DeadLetter, PgqrsArchiveTable, PgqrsMessages, PgqrsWorkers } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, wakeable, watchedPool, workersOf } from '../harness/workers.js'

const it = spec()
const workers = workersOf(it)
const live = (id: string) => new PgqrsMessages(it.admin.pool).get(id)
const kept = (id: string) => new PgqrsArchiveTable(it.admin.pool).get(id)
const row = (id: string) => new PgqrsWorkers(it.admin.pool).get(id)
const enqueue = (name: string, payload: unknown = 'x') => it.pgqrs.producer(name).enqueue(payload)
const fill = (name: string, count: number) =>
  it.pgqrs.producer(name).batchEnqueue(Array.from({ length: count }, (_, n) => n))

/** Until it is so, with the workers beating again and again meanwhile, which they do every 5 s by themselves. */
const beating: typeof eventually = (condition, options) =>
  eventually(async () => {
    await Database.of(it.pgqrs.pool).run('notify', [[askedOfWorkers]])
    return condition()
  }, options)

describe('events', () => {
  test('tell of each message what happened to it, in order', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      ({ payload }, { attempt }) => {
        if (payload === 'dead') throw new DeadLetter('no')
        if (payload === 'retry' && attempt === 1) throw new Error('once')
      },
      { backoff: 50, concurrency: 1 },
    )
    const heard: [string, Record<string, unknown>][] = []
    for (const event of ['started', 'succeeded', 'failed', 'retried', 'dead', 'lost'] as const)
      worker.on(event, (payload) => heard.push([event, payload as never]))
    const [good, retry, dead] = await it.pgqrs.producer(name).batchEnqueue(['good', 'retry', 'dead'])
    await eventually(() => worker.counters.succeeded === 2 && worker.counters.dead === 1)
    const of = (id: string) => heard.filter(([, { message }]) => (message as { id: string }).id === id)
    expect(of(good!.id).map(([event]) => event)).toEqual(['started', 'succeeded'])
    expect(of(dead!.id).map(([event]) => event)).toEqual(['started', 'failed', 'dead'])
    expect(of(retry!.id).map(([event]) => event)).toEqual([
      'started',
      'failed',
      'retried',
      'started',
      'succeeded',
    ])
    for (const [event, payload] of heard) {
      expect(payload.queue).toBe(name)
      if (event === 'succeeded' || event === 'failed') expect(payload.durationMs).toBeGreaterThanOrEqual(0)
      if (event === 'failed' || event === 'retried' || event === 'dead')
        expect(payload.error).toBeInstanceOf(Error)
      if (event === 'retried') expect(payload.delayMs).toBe(50)
    }
  })

  test('have types: each payload is what its event says', async () => {
    const worker = await workers.start(await it.newQueue(), () => {})
    worker.on('succeeded', ({ queue, message, durationMs }) => {
      const typed: [string, number, number] = [queue, message.attempt, durationMs]
      return typed
    })
    worker.on('degraded', ({ what }) => what satisfies 'database' | 'listen')
    // @ts-expect-error there is no such event
    expect(() => worker.on('succeded', () => {})).toThrow(/is none of started, succeeded/)
    // @ts-expect-error it has no result
    worker.on('started', ({ result }) => result)
  })

  test('are heard no more after off', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {})
    let heard = 0
    const listener = () => {
      heard += 1
    }
    worker.on('succeeded', listener)
    const first = next(worker, 'succeeded')
    await enqueue(name)
    await first
    worker.off('succeeded', listener)
    const second = next(worker, 'succeeded')
    await enqueue(name)
    await second
    expect(heard).toBe(1)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('my listener')
      },
    ],
    ['rejects', () => Promise.reject(new Error('my listener'))],
  ])(
    'with a listener that %s do not stop the worker, nor other listeners; it is told as an error',
    async (_, listener) => {
      const name = await it.newQueue()
      const worker = await workers.start(name, () => {})
      worker.on('started', listener)
      worker.on('succeeded', listener)
      const others = heardFrom(worker, 'succeeded')
      const errors = heardFrom(worker, 'error')
      await fill(name, 5)
      await eventually(() => worker.counters.succeeded === 5 && errors.length === 10)
      expect(others).toHaveLength(5)
      expect(errors.every((error) => (error as Error).message === 'my listener')).toBe(true)
    },
  )

  test.each([
    [
      'throws',
      () => {
        throw new Error('the error of an error')
      },
    ],
    ['rejects', () => Promise.reject(new Error('the error of an error'))],
  ])("with a listener of 'error' that %s end nothing", async (_, listener) => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {})
    worker.on('error', listener)
    worker.on('succeeded', () => {
      throw new Error('my listener')
    })
    await fill(name, 3)
    await eventually(() => worker.counters.succeeded === 3)
    const succeeded = next(worker, 'succeeded')
    await enqueue(name)
    await succeeded
  })

  test("of 'error' that nobody listens to end nothing", async () => {
    const worker = await workers.start('nowhere at all'.replaceAll(' ', '_'), () => {})
    expect(worker.phase).toBe('ready')
  })
})

describe('counters', () => {
  test('count since the worker was made; what they give is a copy', async () => {
    const name = await it.newQueue({ maxAttempts: 2 })
    const worker = await workers.start(
      name,
      ({ payload }) => {
        if ((payload as number) >= 7) throw new Error('x')
      },
      { backoff: 0 },
    )
    expect(worker.counters).toEqual({
      started: 0,
      succeeded: 0,
      failed: 0,
      retried: 0,
      dead: 0,
      lost: 0,
      released: 0,
    })
    await fill(name, 10)
    await eventually(() => worker.counters.dead === 3)
    await eventually(() => worker.counters.succeeded === 7)
    const counters = worker.counters
    expect(counters).toEqual({
      started: 13,
      succeeded: 7,
      failed: 6,
      retried: 3,
      dead: 3,
      lost: 0,
      released: 0,
    })
    counters.started = 0
    expect(worker.counters.started).toBe(13)
  })
})

describe('the registration', () => {
  test('is a row for each queue, with name, machine and process', async () => {
    const queues = [await it.newQueue(), await it.newQueue()]
    const worker = await workers.serve(
      queues.map((queue) => ({ queue, handler: () => {} })),
      { name: 'both' },
    )
    expect(worker.ids).toHaveLength(2)
    for (const queue of queues)
      expect(await it.admin.workers.list({ queue })).toMatchObject([
        { name: 'both', hostname: hostname(), pid: process.pid, state: 'ready', stoppedAt: null },
      ])
    expect(await it.admin.workers.health({ queue: queues[0]! })).toMatchObject([{ alive: true }])
  })

  test('is what its messages are leased by', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {})
    const { id } = await enqueue(name)
    expect((await eventually(() => kept(id))).leasedBy).toBe(worker.ids[0])
  })

  test('goes through the states of the worker', async () => {
    const worker = await workers.start(await it.newQueue(), () => {})
    const [id] = worker.ids
    const phases: string[] = []
    worker.on('state', (phase) => phases.push(phase))
    const stateIs = (state: string) => eventually(async () => (await row(id!))?.state === state)
    await stateIs('ready')
    worker.suspend()
    await stateIs('suspended')
    worker.resume()
    await stateIs('ready')
    await worker.stop()
    expect(await row(id!)).toMatchObject({ state: 'stopped', stoppedAt: expect.any(Date) })
    expect(phases).toEqual(['suspended', 'ready', 'stopping', 'stopped'])
  })

  test('beats, and marks those as dead that do not', async () => {
    const name = await it.newQueue()
    const silent = await it.admin.workers.register(name, { name: 'silent' })
    const stopped = await it.admin.workers.register(name)
    await it.sql(`update pgqrs_workers set state = 'stopped' where id = $1`, [stopped.id])
    await it.sql(
      `update pgqrs_workers set heartbeat_at = clock_timestamp() - interval '10 minutes' where id = any ($1::bigint[])`,
      [[silent.id, stopped.id]],
    )
    const worker = await workers.start(name, () => {})
    const before = (await row(worker.ids[0]!))!.heartbeatAt
    await beating(async () => (await row(silent.id))?.state === 'dead')
    expect((await row(stopped.id))?.state).toBe('stopped')
    await beating(async () => (await row(worker.ids[0]!))!.heartbeatAt > before)
    expect((await row(worker.ids[0]!))?.state).toBe('ready')
  })

  test('that was taken for dead is ready again with its next heartbeat', async () => {
    const worker = await workers.start(await it.newQueue(), () => {})
    await it.sql(`update pgqrs_workers set state = 'dead' where id = $1`, [worker.ids[0]])
    await beating(async () => (await row(worker.ids[0]!))?.state === 'ready')
  })

  test('that was removed is made again', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {})
    const [first] = worker.ids
    await it.sql('delete from pgqrs_workers where id = $1', [first])
    await beating(async () => (await it.admin.workers.list({ queue: name })).length === 1)
    await beating(() => worker.ids.length === 1 && worker.ids[0] !== first)
  })
})

describe('a suspended worker', () => {
  test('fetches nothing; what runs goes on; resumed it goes on at once', async () => {
    const name = await it.newQueue()
    const end = deferred()
    const worker = await workers.start(name, () => end.promise, { pollInterval: 20, concurrency: 1 })
    const first = next(worker, 'started')
    await enqueue(name)
    await first
    worker.suspend()
    expect(worker.phase).toBe('suspended')
    const succeeded = next(worker, 'succeeded')
    end.resolve()
    await succeeded
    const { id } = await enqueue(name)
    // Another one gets what it does not take.
    const other = await it.pgqrs.consumer(name).dequeue()
    expect(other?.id).toBe(id)
    await it.pgqrs.consumer(name).release(other!)
    expect(worker.counters.started).toBe(1)
    const from = performance.now()
    worker.resume()
    await eventually(() => worker.counters.succeeded === 2)
    expect(performance.now() - from).toBeLessThan(4_000)
    expect(worker.phase).toBe('ready')
  })

  test('begins nothing more, and gives back what it has fetched: another may run it', async () => {
    const name = await it.newQueue()
    const end = deferred()
    let count = 0
    const handler = () => {
      count += 1
      return count > 500 ? end.promise : undefined
    }
    await fill(name, 2_000)
    const worker = await workers.start(name, handler, { concurrency: 2, pollInterval: 20 })
    await eventually(() => worker.counters.started === 502)
    worker.suspend()
    const other = await workers.start(name, () => {})
    await eventually(() => other.counters.succeeded === 1_498)
    end.resolve()
    await eventually(() => worker.counters.succeeded === 502)
    expect(worker.counters.started).toBe(502)
    expect(
      await it.sql(
        'select from pgqrs_messages m join pgqrs_queues q on q.id = m.queue_id where q.name = $1',
        [name],
      ),
    ).toEqual([])
  })

  test('stays so over its heartbeats', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {}, { pollInterval: 20 })
    worker.suspend()
    const { id } = await enqueue(name)
    const before = (await row(worker.ids[0]!))!.heartbeatAt
    let beats = 0
    let last = before
    await beating(
      async () => {
        const { heartbeatAt } = (await row(worker.ids[0]!))!
        if (heartbeatAt > last) beats += 1
        last = heartbeatAt
        return beats >= 3
      },
      { timeoutMs: 30_000 },
    )
    expect(worker.phase).toBe('suspended')
    expect(worker.counters.started).toBe(0)
    // A fetch that was under way may have taken it, and has given it back.
    const { attempt, givenBack } = (await live(id))!
    expect(attempt - givenBack).toBe(0)
  })

  test('can be stopped', async () => {
    const worker = await workers.start(await it.newQueue(), () => {})
    worker.suspend()
    await worker.stop()
    expect((await row(worker.ids[0]!))?.state).toBe('stopped')
  })
})

describe('a queue', () => {
  test('that does not exist yet is told as an error, and served when it is created', async () => {
    const there = await it.newQueue()
    const ran: unknown[] = []
    const handler = (message: unknown) => ran.push((message as { payload: unknown }).payload)
    const both = it.pgqrs.worker(
      [
        { queue: there, handler },
        { queue: 'not_yet', handler },
      ],
      { ...wakeable(it.directDsn) },
    )
    onTestFinished(() => both.stop({ timeout: 0 }))
    expect(await next(both, 'error')).toMatchObject({ message: expect.stringContaining('not_yet') })
    await both.ready()
    await enqueue(there, 'there')
    await eventually(() => ran.length === 1)
    await it.admin.createQueue('not_yet')
    await enqueue('not_yet', 'now')
    // Its first message tells of it; nobody waits for a heartbeat.
    const from = performance.now()
    await eventually(() => ran.length === 2)
    expect(performance.now() - from).toBeLessThan(4_000)
    expect(ran).toEqual(['there', 'now'])
    await eventually(() => both.ids.length === 2)
  })

  test.each([1, 2])(
    'that is deleted under the worker costs nothing else, and is served when it is made again (%i queues)',
    async (count) => {
      const name = `again_${count}`
      const there = await it.newQueue()
      await it.admin.createQueue(name)
      const ran: string[] = []
      const served = [name, there].slice(0, count).map((queue) => ({
        queue,
        handler: (message: unknown) => ran.push(`${queue} ${(message as { payload: unknown }).payload}`),
      }))
      const worker = await workers.serve(served, { pollInterval: 50 })
      await enqueue(name, 1)
      await eventually(() => ran.length === 1)
      const [first] = worker.ids
      const missing = next(worker, 'error')
      await it.admin.deleteQueue(name, { force: true })
      const told = missing.then((error) => error)
      await beating(() => Promise.race([told, Promise.resolve(null)]))
      expect(await told).toMatchObject({ code: 'QUEUE_NOT_FOUND' })
      if (count === 2) {
        await enqueue(there, 1)
        await eventually(() => ran.length === 2)
      }
      await it.admin.createQueue(name)
      const { id } = await enqueue(name, 2)
      await beating(() => ran.includes(`${name} 2`))
      // It was run when it was taken for the first time.
      expect(await eventually(() => kept(id))).toMatchObject({ attempt: 1 })
      await eventually(() => worker.ids.length === count && !worker.ids.includes(first!), {
        timeoutMs: 20_000,
      })
    },
  )

  test('that is deleted and made again between two looks is served as the new one (2 queues)', async () => {
    const [name, there] = ['swapped', await it.newQueue()]
    await it.admin.createQueue(name)
    const ran: unknown[] = []
    const handler = (message: unknown) => ran.push((message as { payload: unknown }).payload)
    // It polls, so that it looks into both at once.
    const worker = await workers.serve(
      [
        { queue: name, handler },
        { queue: there, handler },
      ],
      { listen: false, pollInterval: 100 },
    )
    await enqueue(name, 1)
    await eventually(() => ran.length === 1)
    await worker.idle()
    await it.admin.deleteQueue(name, { force: true })
    await it.admin.createQueue(name)
    const messages = await fill(name, 5)
    await eventually(() => ran.length === 6)
    for (const { id } of messages) expect(await eventually(() => kept(id))).toMatchObject({ attempt: 1 })
  })

  test('that is paused is not delivered, takes messages, and goes on at once when it is resumed', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {}, { pollInterval: '10s' })
    await worker.idle()
    await it.admin.pauseQueue(name)
    const messages = await fill(name, 3)
    await worker.idle()
    for (const { id } of messages) expect(await live(id)).toMatchObject({ attempt: 0 })
    const from = performance.now()
    await it.admin.resumeQueue(name)
    await eventually(() => worker.counters.succeeded === 3)
    expect(performance.now() - from).toBeLessThan(5_000)
  })

  test('that is paused keeps no other queue of the worker from running', async () => {
    const [paused, other] = [await it.newQueue(), await it.newQueue()]
    await it.admin.pauseQueue(paused)
    const worker = await workers.serve([
      { queue: paused, handler: () => {} },
      { queue: other, handler: () => {} },
    ])
    await Promise.all([fill(paused, 3), fill(other, 3)])
    await eventually(() => worker.counters.succeeded === 3)
    await worker.idle()
    expect(worker.counters.started).toBe(3)
  })
})

test('a worker that cannot start because nothing is installed says so, and can be stopped', async () => {
  const watched = watchedPool(it.dsn)
  const own = await connect({ pool: watched.pool, schema: 'nothing_here' })
  const worker = workers.begin('x', () => {}, {}, own)
  const error = next(worker, 'error')
  await expect(worker.ready()).rejects.toMatchObject({ code: 'SCHEMA_NOT_INSTALLED' })
  expect(await error).toMatchObject({ code: 'SCHEMA_NOT_INSTALLED' })
  await worker.stop()
  expect(worker.phase).toBe('stopped')
})
