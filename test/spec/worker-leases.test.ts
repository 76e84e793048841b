// The leases of a worker's messages: kept while handlers run, given up in time, and never settled after they are lost.

import { describe, expect, onTestFinished, test } from 'vitest'
import { connect, PgqrsArchiveTable, PgqrsMessages } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, takes, watchedPool, workersOf } from '../harness/workers.js'

const it = spec()
const workers = workersOf(it)
const live = (id: string) => new PgqrsMessages(it.admin.pool).get(id)
const kept = (id: string) => new PgqrsArchiveTable(it.admin.pool).get(id)
const enqueue = (name: string, payload: unknown = 'x') => it.pgqrs.producer(name).enqueue(payload)
const fill = (name: string, count: number) =>
  it.pgqrs.producer(name).batchEnqueue(Array.from({ length: count }, (_, n) => n))
/** How often the first lease would have run out by now, by the database's clock, and whether it is held still. */
async function heldFor(id: string, leaseMs: number): Promise<number> {
  const [row] = await it.sql<{ times: number; held: boolean }>(
    `select (extract(epoch from clock_timestamp() - dequeued_at) * 1000 / $2)::float8 as times,
       leased_until > clock_timestamp() as held
     from pgqrs_messages where id = $1`,
    [id, leaseMs],
  )
  if (row?.held !== true) throw new Error('It is not held.')
  return row.times
}
/** As if somebody else had been given the message. */
const takeAway = (id: string) =>
  it.sql(
    `update pgqrs_messages set attempt = attempt + 1, leased_until = clock_timestamp() + interval '1 minute'
     where id = $1`,
    [id],
  )

describe('a lease', () => {
  test('is 30 s by default, and what the worker says', async () => {
    const [plain, short] = [await it.newQueue(), await it.newQueue()]
    const lengths: Record<string, number> = {}
    const handler = (which: string) => (message: unknown) => {
      const { leasedUntil, dequeuedAt } = message as { leasedUntil: Date; dequeuedAt: Date }
      lengths[which] = leasedUntil.getTime() - dequeuedAt.getTime()
    }
    await workers.serve([
      { queue: plain, handler: handler('plain') },
      { queue: short, handler: handler('short'), lease: '5m' },
    ])
    await Promise.all([enqueue(plain), enqueue(short)])
    await eventually(() => Object.keys(lengths).length === 2)
    expect(Math.round(lengths.plain! / 1_000)).toBe(30)
    expect(Math.round(lengths.short! / 1_000)).toBe(300)
  })

  test('is renewed while a handler runs: its message is given to nobody else', async () => {
    const name = await it.newQueue()
    const end = deferred()
    const lease = 400
    const worker = await workers.start(name, () => end.promise, { lease })
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    const other = await workers.start(name, () => {}, { pollInterval: 20 })
    // Three leases long.
    await eventually(async () => (await heldFor(id, lease)) > 3, { everyMs: 50 })
    expect((await live(id))?.attempt).toBe(1)
    end.resolve()
    expect(await eventually(() => kept(id))).toMatchObject({ outcome: 'archived', attempt: 1 })
    expect([worker.counters.lost, other.counters.started]).toEqual([0, 0])
  })

  test('is renewed for all messages of all queues in one statement', async () => {
    const queues = [await it.newQueue(), await it.newQueue()]
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const end = deferred()
    const lease = 500
    const worker = await workers.serve(
      queues.map((queue) => ({ queue, handler: () => end.promise, concurrency: 50 })),
      { lease },
      own,
    )
    const filled = await Promise.all(queues.map((name) => fill(name, 50)))
    const first = filled.flat()[0]
    await eventually(() => worker.counters.started === 100)
    await eventually(async () => (await heldFor(first!.id, lease)) > 3, { everyMs: 50 })
    const renewals = watched.texts.filter((text) => text.includes('pgqrs_renew_held')).length
    expect(renewals).toBeGreaterThan(0)
    // By each message alone it would have been several hundred.
    expect(renewals).toBeLessThan(60)
    end.resolve()
    await eventually(() => worker.counters.succeeded === 100)
    expect(worker.counters.lost).toBe(0)
  })

  test('is renewed for what waits its turn, too', async () => {
    const name = await it.newQueue()
    const lease = 3_000
    let hang = false
    const end = deferred()
    const worker = await workers.start(name, () => (hang ? end.promise : undefined), {
      concurrency: 1,
      lease,
    })
    await fill(name, 2_000)
    await eventually(() => worker.counters.succeeded > 200, { everyMs: 1 })
    hang = true
    await eventually(() => worker.counters.started > worker.counters.succeeded)
    end.resolve()
    await eventually(() => worker.counters.succeeded === 2_000)
    expect(worker.counters.lost).toBe(0)
  })

  test('can be made longer by hand', async () => {
    const name = await it.newQueue()
    const answer = deferred<boolean>()
    const end = deferred()
    await workers.start(name, async (_, { extend }) => {
      answer.resolve(await extend('1h'))
      await end.promise
    })
    const { id } = await enqueue(name)
    expect(await answer.promise).toBe(true)
    const { leasedUntil, dequeuedAt } = (await live(id))!
    expect(leasedUntil!.getTime() - dequeuedAt!.getTime()).toBeGreaterThanOrEqual(3_600_000)
    end.resolve()
    await eventually(() => kept(id))
  })

  test('that is made longer by hand is not made shorter by the renewal that follows', async () => {
    const name = await it.newQueue()
    const extended = deferred()
    const end = deferred()
    const lease = 200
    const worker = await workers.start(
      name,
      async (_, { extend }) => {
        await extend('1h')
        extended.resolve()
        await end.promise
      },
      { lease },
    )
    const { id } = await enqueue(name)
    await extended.promise
    await eventually(async () => (await heldFor(id, lease)) > 3, { everyMs: 50 })
    expect((await live(id))!.leasedUntil!.getTime()).toBeGreaterThan(Date.now() + 1_800_000)
    end.resolve()
    await next(worker, 'succeeded')
  })
})

describe('a lease that is lost', () => {
  async function running(options: object = {}) {
    const name = await it.newQueue()
    const end = deferred<unknown>()
    const signal = deferred<AbortSignal>()
    const worker = await workers.start(
      name,
      async (_, context) => {
        signal.resolve(context.signal)
        const what = await end.promise
        if (what instanceof Error) throw what
      },
      { lease: 300, ...options },
    )
    const lost = next(worker, 'lost')
    const events = heardFrom(worker, 'succeeded', 'failed', 'retried', 'dead', 'error')
    const { id } = await enqueue(name)
    return { name, id, end, worker, lost, events, signal: await signal.promise }
  }

  test('aborts the signal of its handler, and is told', async () => {
    const { name, id, worker, lost, signal } = await running()
    await takeAway(id)
    expect(await lost).toMatchObject({ queue: name, message: { id, attempt: 1 } })
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    expect(worker.counters.lost).toBe(1)
  })

  test.each([
    ['success', undefined],
    ['failure', new Error('too late')],
  ])('lets the %s of its handler change nothing', async (_, what) => {
    const { id, end, worker, lost, events } = await running()
    await takeAway(id)
    await lost
    end.resolve(what)
    await worker.stop()
    expect(await live(id)).toMatchObject({ attempt: 2, lastError: null, givenBack: 0 })
    expect(events).toEqual([])
    expect(worker.counters).toMatchObject({ started: 1, lost: 1, succeeded: 0, failed: 0 })
  })

  test('is found out by the settle, where no renewal came before', async () => {
    const { id, end, lost, events, signal } = await running({ lease: '1h' })
    await takeAway(id)
    expect(signal.aborted).toBe(false)
    end.resolve(undefined)
    expect(await lost).toMatchObject({ message: { id } })
    expect(await live(id)).toMatchObject({ attempt: 2 })
    expect(events).toEqual([])
  })

  test('cannot be made longer by hand', async () => {
    const name = await it.newQueue()
    const go = deferred()
    const answer = deferred<boolean>()
    const worker = await workers.start(
      name,
      async (_, { extend }) => {
        await go.promise
        answer.resolve(await extend('1m'))
      },
      { lease: '1h' },
    )
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    await takeAway(id)
    go.resolve()
    expect(await answer.promise).toBe(false)
    await eventually(() => worker.counters.lost === 1)
  })

  test('was lost to time, where the worker could not renew it: it gives up before another is given the message', async () => {
    const name = await it.newQueue()
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const aborted = deferred<number>()
    const worker = await workers.start(
      name,
      async (message, { signal }) => {
        if (message.attempt > 1) return
        await new Promise((done) => signal.addEventListener('abort', done))
        aborted.resolve(Date.now())
      },
      { lease: 400 },
      own,
    )
    const stuck = deferred()
    onTestFinished(() => stuck.resolve())
    watched.before = (text) => (text.includes('pgqrs_renew_held') ? stuck.promise : undefined)
    const lost = next(worker, 'lost')
    const { id } = await enqueue(name)
    const { leasedUntil } = await eventually(async () => {
      const message = await live(id)
      return message?.leasedUntil ? message : null
    })
    const at = await aborted.promise
    await lost
    expect(at).toBeLessThanOrEqual(leasedUntil!.getTime() + 5)
    stuck.resolve()
    watched.before = () => {}
    // And then it is delivered again.
    expect(await eventually(() => kept(id))).toMatchObject({ outcome: 'archived', attempt: 2 })
  })

  test('of a message that an operator deleted or archived is lost as well', async () => {
    const { id, lost, signal } = await running()
    await new PgqrsMessages(it.admin.pool).delete(id, { force: true } as never)
    await lost
    expect(signal.aborted).toBe(true)
  })

  test('of a message that waits its turn keeps it from being run', async () => {
    const name = await it.newQueue()
    const ran: unknown[] = []
    const end = deferred()
    const started = deferred()
    let fast = true
    const worker = await workers.start(
      name,
      async ({ payload }) => {
        if (fast) return
        ran.push(payload)
        started.resolve()
        await end.promise
      },
      { concurrency: 1, lease: '1h', prefetch: 50 },
    )
    await fill(name, 300)
    await eventually(() => worker.counters.succeeded === 300)
    fast = false
    await fill(name, 10)
    await started.promise
    const waiting = await eventually(async () => {
      const rows = await it.sql<{ id: string; payload: number }>(
        `select id, payload from pgqrs_messages m where leased_until is not null
           and queue_id = (select id from pgqrs_queues where name = $1) and payload <> '0' order by id`,
        [name],
      )
      return rows.length > 0 ? rows : null
    })
    const taken = waiting.at(-1)!
    await takeAway(taken.id)
    end.resolve()
    await eventually(() => worker.counters.succeeded + worker.counters.lost === 310)
    await takes(0)
    expect(await live(taken.id)).toMatchObject({ attempt: 2 })
    expect(await kept(taken.id)).toBeNull()
  })
})
