// How soon a message starts on a worker that has nothing to do, and what that costs.

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Database } from '../../src/database/database.js'
import { connect, type Pgqrs, type PgqrsError } from '../../src/index.js'
import { hasPgBouncer } from '../../src/postgres/pgbouncer.js'
import { eventually } from '../harness/eventually.js'
import { poolerInFront } from '../harness/pooler-in-front.js'
import { startProcess } from '../harness/processes.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, watchedPool, workersOf } from '../harness/workers.js'
import type { ProducerProgram, ProducerSays } from '../programs/producer.js'

const it = spec()
const workers = workersOf(it)
/** Of a program that is not the worker's: nothing but the server is between them. */
let other: Pgqrs
const elsewhere = () => other
beforeAll(async () => {
  other = await connect(it.dsn)
})
afterAll(() => other.close())
/** So long that whatever comes sooner was not found by looking. */
const seldom = { pollInterval: '10s' } as const
const median = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!

/** A worker that is idle and can be woken, and when each message began, by its payload. */
async function idleWorker(name: string, options: object = seldom) {
  const begun = new Map<unknown, number>()
  const worker = await workers.start(
    name,
    ({ payload }) => void begun.set(payload, performance.now()),
    options,
  )
  await listening(worker)
  return { worker, begun, when: (payload: unknown) => eventually(() => begun.get(payload), { everyMs: 2 }) }
}

/** Resolves when the worker hears notifications: it has said nothing else, and has looked for messages since. */
async function listening(worker: { idle(): Promise<void> }): Promise<void> {
  await eventually(async () => {
    const [row] = await it.sql<{ count: number }>(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and application_name = 'pgqrs listen' and query ilike 'listen%'`,
    )
    return row!.count > 0
  })
  await worker.idle()
}

describe('an idle worker', () => {
  test('starts a message within milliseconds of its enqueue, though it polls seldom', async () => {
    const name = await it.newQueue()
    const { when } = await idleWorker(name)
    const took: number[] = []
    for (let n = 0; n < 25; n++) {
      const from = performance.now()
      await elsewhere().producer(name).enqueue(n)
      took.push((await when(n)) - from)
    }
    expect(median(took)).toBeLessThan(50)
    expect(Math.max(...took)).toBeLessThan(5_000)
  })

  test('is woken from another process', async () => {
    const name = await it.newQueue()
    const { worker } = await idleWorker(name)
    const args: ProducerProgram = { dsn: it.dsn, queue: name, mode: 'stream' }
    const producer = startProcess<ProducerSays>('../programs/producer.ts', import.meta.url, {
      args: [JSON.stringify(args)],
    })
    await producer.next((said) => 'enqueued' in said)
    const from = performance.now()
    await eventually(() => worker.counters.started > 5)
    expect(performance.now() - from).toBeLessThan(5_000)
    producer.kill()
  })

  test('is woken by the last words of a process that enqueues and closes at once', async () => {
    const name = await it.newQueue()
    const { when } = await idleWorker(name)
    const other = await connect(it.dsn)
    const from = performance.now()
    // The notification for the last of them is not due yet when it closes.
    const elsewhere = await it.newQueue()
    for (let n = 0; n < 3; n++) await other.producer(elsewhere).enqueue(n)
    await other.producer(name).enqueue('last')
    await other.close()
    expect((await when('last')) - from).toBeLessThan(3_000)
  })

  test('starts a message that was enqueued in a transaction when that has committed', async () => {
    const name = await it.newQueue()
    const { begun, when } = await idleWorker(name)
    const committed = await it.transaction('commit', async (tx) => {
      await elsewhere().producer(name).enqueue('in tx', { tx })
      return performance.now()
    })
    expect((await when('in tx')) - committed).toBeLessThan(3_000)
    await it.transaction('rollback', (tx) => elsewhere().producer(name).enqueue('never', { tx }))
    await elsewhere().producer(name).enqueue('after')
    await when('after')
    expect([...begun.keys()]).toEqual(['in tx', 'after'])
  })

  test('starts delayed messages when they are due, in their order, and not before', async () => {
    const name = await it.newQueue()
    const { begun, when } = await idleWorker(name)
    const producer = elsewhere().producer(name)
    const from = performance.now()
    const delays = [400, 150, 300, 700]
    for (const delay of delays) await producer.enqueue(delay, { delay })
    const enqueued = performance.now()
    for (const delay of delays) {
      const at = await when(delay)
      expect(at - from).toBeGreaterThanOrEqual(delay - 2)
      expect(at - enqueued - delay).toBeLessThan(1_500)
    }
    expect([...begun.keys()]).toEqual([150, 300, 400, 700])
  })

  test('starts many that become due one after the other each in its time', async () => {
    const name = await it.newQueue()
    const { begun } = await idleWorker(name)
    const delays = Array.from({ length: 60 }, (_, n) => 200 + n * 10)
    const from = performance.now()
    await Promise.all(delays.map((delay) => elsewhere().producer(name).enqueue(delay, { delay })))
    await eventually(() => begun.size === delays.length)
    for (const delay of delays) expect(begun.get(delay)! - from - delay).toBeLessThan(2_000)
  })

  test('starts delayed messages that were there before it', async () => {
    const name = await it.newQueue()
    await elsewhere().producer(name).enqueue('later', { delay: '300ms' })
    const from = performance.now()
    const { when } = await idleWorker(name)
    expect((await when('later')) - from).toBeLessThan(4_000)
  })

  test('starts delayed messages when they are due where nothing wakes it either', async () => {
    const name = await it.newQueue()
    await elsewhere().producer(name).enqueue('later', { delay: '300ms' })
    const begun = deferred()
    const from = performance.now()
    await workers.start(name, () => begun.resolve(), { ...seldom, listen: false })
    await begun.promise
    expect(performance.now() - from).toBeLessThan(4_000)
  })

  test('runs what another gave back at once', async () => {
    const name = await it.newQueue()
    const hanging = await workers.start(name, () => new Promise(() => {}), seldom)
    const started = next(hanging, 'started')
    await elsewhere().producer(name).enqueue('x')
    await started
    const { when } = await idleWorker(name)
    const from = performance.now()
    await hanging.stop({ timeout: 0 })
    expect((await when('x')) - from).toBeLessThan(4_000)
  })

  test('hears of what comes while its look for messages is under way', async () => {
    const name = await it.newQueue()
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const begun = deferred()
    const worker = await workers.start(name, () => begun.resolve(), seldom, own)
    await listening(worker)
    const looked = deferred()
    const answer = deferred()
    watched.after = (text) => {
      if (!/pgqrs_claim/.test(text)) return undefined
      looked.resolve()
      return answer.promise
    }
    // The look has been answered by the server, with nothing, and the worker does not know it yet.
    worker.suspend()
    worker.resume()
    await looked.promise
    const heard = new pg.Client({ connectionString: it.directDsn })
    await heard.connect()
    onTestFinished(() => heard.end())
    const notified = new Promise((done) => heard.on('notification', done))
    await heard.query(`listen "${Database.of(it.pgqrs.pool).channel}"`)
    await elsewhere().producer(name).enqueue('x')
    await notified
    // It was sent to the worker's connection too, which is as near.
    await heard.query('select 1')
    watched.after = () => {}
    const from = performance.now()
    answer.resolve()
    await begun.promise
    expect(performance.now() - from).toBeLessThan(4_000)
  })
})

describe('notifications', () => {
  test('are coalesced: 32 that enqueue 3,000 messages at once cause far fewer', async () => {
    const name = await it.newQueue()
    const listener = new pg.Client({ connectionString: it.directDsn })
    await listener.connect()
    onTestFinished(() => listener.end())
    const heard: (string | undefined)[] = []
    listener.on('notification', ({ payload }) => heard.push(payload))
    await listener.query(`listen "${Database.of(it.pgqrs.pool).channel}"`)
    const producer = elsewhere().producer(name)
    const from = performance.now()
    let n = 0
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        while (n < 3_000) await producer.enqueue(n++)
      }),
    )
    const took = performance.now() - from
    await producer.enqueue('last')
    await eventually(async () => {
      await listener.query('select 1')
      return heard.filter((queue) => queue === name).length > 0
    })
    const count = heard.filter((queue) => queue === name).length
    // At most one for each 4 ms, and what a NOTIFY for each message would have been is far away.
    expect(count).toBeLessThanOrEqual(took / 4 + 5)
    expect(count).toBeLessThan(1_000)
  })

  test('are sent outside the transactions of the program', async () => {
    const name = await it.newQueue()
    const listener = new pg.Client({ connectionString: it.directDsn })
    await listener.connect()
    onTestFinished(() => listener.end())
    const heard = deferred<string | undefined>()
    listener.on('notification', ({ payload }) => payload === name && heard.resolve(payload))
    await listener.query(`listen "${Database.of(it.pgqrs.pool).channel}"`)
    const open = deferred()
    const tx = it.transaction('commit', async (client) => {
      await elsewhere().producer(name).enqueue('x', { tx: client })
      await open.promise
    })
    // It is heard while the transaction is still open: it was none of it.
    expect(await heard.promise).toBe(name)
    open.resolve()
    await tx
  })

  test('of other queues and of other schemas do not wake it', async () => {
    const [name, other] = [await it.newQueue(), await it.newQueue()]
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const worker = await workers.start(name, () => {}, { pollInterval: '60s' }, own)
    await listening(worker)
    const claims = () => watched.texts.filter((text) => /pgqrs_claim/.test(text)).length
    const before = claims()
    for (let n = 0; n < 10; n++) await elsewhere().producer(other).enqueue(n)
    await elsewhere().producer(name).enqueue('x')
    await next(worker, 'succeeded')
    expect(claims() - before).toBeLessThan(8)
  })
})

describe('a worker that polls', () => {
  test('finds messages all the same, with listen: false', async () => {
    const name = await it.newQueue()
    const { worker } = { worker: await workers.start(name, () => {}, { listen: false, pollInterval: 50 }) }
    const degraded = heardFrom(worker, 'degraded')
    await elsewhere().producer(name).enqueue('x')
    await next(worker, 'succeeded')
    expect(degraded).toEqual([])
  })

  test('hears its own program at once, with listen: false', async () => {
    const name = await it.newQueue()
    const begun = deferred()
    const worker = await workers.start(name, () => begun.resolve(), { ...seldom, listen: false })
    await worker.idle()
    const from = performance.now()
    await it.pgqrs.producer(name).enqueue('x')
    await begun.promise
    expect(performance.now() - from).toBeLessThan(4_000)
  })

  test('costs little while there is nothing to do: at most 2.5 statements a second', async () => {
    const name = await it.newQueue()
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const worker = await workers.start(name, () => {}, {}, own)
    await listening(worker)
    const from = performance.now()
    const before = watched.texts.length
    // The proof is in what it sends, so the time is counted in its own statements.
    await eventually(() => watched.texts.length - before >= 12, { timeoutMs: 30_000 })
    const seconds = (performance.now() - from) / 1_000
    expect(12 / seconds).toBeLessThanOrEqual(2.5)
  })
})

describe.skipIf(!hasPgBouncer())('through a pooler, which takes LISTEN and delivers nothing,', () => {
  test('the worker says once that it is degraded, and polls', async () => {
    const pooled = await connect(await poolerInFront(it.directDsn))
    onTestFinished(() => pooled.close())
    const name = await it.newQueue()
    const worker = pooled.worker(name, () => {})
    onTestFinished(() => worker.stop({ timeout: 0 }))
    const degraded = heardFrom(worker, 'degraded')
    const succeeded = next(worker, 'succeeded')
    await elsewhere().producer(name).enqueue('x')
    await succeeded
    const { error } = await eventually(() => degraded[0])
    expect(degraded).toEqual([{ what: 'listen', error }])
    expect((error as PgqrsError).message).toMatch(/listenDsn/)
    await elsewhere().producer(name).enqueue('y')
    await next(worker, 'succeeded')
    expect(degraded).toHaveLength(1)
  })

  test('listenDsn cures it', async () => {
    const pooled = await connect(await poolerInFront(it.directDsn))
    onTestFinished(() => pooled.close())
    const name = await it.newQueue()
    const begun = deferred()
    const worker = await workers.start(
      name,
      () => begun.resolve(),
      { ...seldom, listenDsn: it.directDsn },
      pooled,
    )
    const degraded = heardFrom(worker, 'degraded')
    await listening(worker)
    const from = performance.now()
    await elsewhere().producer(name).enqueue('x')
    await begun.promise
    expect(performance.now() - from).toBeLessThan(4_000)
    expect(degraded).toEqual([])
  })
})
