// How a worker runs handlers: so many at once, fairly between queues, fetching ahead as far as it pays.

import { describe, expect, test, vi } from 'vitest'
import { connect, type Message, PgqrsArchiveTable } from '../../src/index.js'
import { Lane } from '../../src/worker/lane.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, takes, watchedPool, workersOf } from '../harness/workers.js'

const it = spec()
const workers = workersOf(it)
const enqueue = (name: string, payload: unknown = 'x') => it.pgqrs.producer(name).enqueue(payload)
const fill = (name: string, count: number) =>
  it.pgqrs.producer(name).batchEnqueue(Array.from({ length: count }, (_, n) => n))
const archived = async (name: string) =>
  Number(
    (
      await it.sql<{ count: string }>(
        `select count(*) from pgqrs_archive a join pgqrs_queues q on q.id = a.queue_id where q.name = $1`,
        [name],
      )
    )[0]!.count,
  )
/** Messages that somebody has leased. */
const leased = async (name: string) =>
  Number(
    (
      await it.sql<{ count: string }>(
        `select count(*) from pgqrs_messages m join pgqrs_queues q on q.id = m.queue_id
         where q.name = $1 and leased_until > clock_timestamp()`,
        [name],
      )
    )[0]!.count,
  )

describe('a worker', () => {
  test('runs the handler once for each message, and settles all', async () => {
    const name = await it.newQueue()
    const ran: unknown[] = []
    await fill(name, 2_000)
    await workers.start(name, ({ payload }) => ran.push(payload))
    await eventually(async () => (await archived(name)) === 2_000)
    expect(new Set(ran).size).toBe(2_000)
    expect(ran).toHaveLength(2_000)
  })

  test('begins them in the order of delivery', async () => {
    const name = await it.newQueue()
    const ran: unknown[] = []
    const producer = it.pgqrs.producer(name)
    await producer.batchEnqueue(['c', 'd'], { priority: 5 })
    await producer.batchEnqueue(['a', 'b'], { priority: -5 })
    await workers.start(name, ({ payload }) => ran.push(payload), { concurrency: 1 })
    await eventually(() => ran.length === 4)
    expect(ran).toEqual(['a', 'b', 'c', 'd'])
  })

  test.each([1, 3, 10])(
    'runs at most %i at once, and that many when there is enough',
    async (concurrency) => {
      const name = await it.newQueue()
      let running = 0
      let most = 0
      const full = deferred()
      await fill(name, concurrency * 6)
      await workers.start(
        name,
        async () => {
          running += 1
          most = Math.max(most, running)
          if (running === concurrency) full.resolve()
          await full.promise
          await takes(1)
          running -= 1
        },
        { concurrency },
      )
      await full.promise
      await eventually(async () => (await archived(name)) === concurrency * 6)
      expect(most).toBe(concurrency)
    },
  )

  test('runs 10 at once by default', async () => {
    const name = await it.newQueue()
    await fill(name, 30)
    const worker = await workers.start(
      name,
      (_, { signal }) => new Promise((end) => signal.addEventListener('abort', end)),
    )
    await eventually(() => worker.counters.started === 10)
    // A fetch that comes after it changes nothing.
    await fill(name, 5)
    expect(worker.counters.started).toBe(10)
  })

  test('gives a slot to the next message when its handler has ended, not when all have', async () => {
    const name = await it.newQueue()
    const never = deferred()
    await enqueue(name, 'slow')
    await fill(name, 50)
    const worker = await workers.start(
      name,
      ({ payload }) => (payload === 'slow' ? never.promise : undefined),
      {
        concurrency: 2,
      },
    )
    await eventually(() => worker.counters.succeeded === 50)
    never.resolve()
    await eventually(() => worker.counters.succeeded === 51)
  })

  test('gives the handler the message as a consumer would get it, and what it can do with it', async () => {
    const name = await it.newQueue()
    const seen = deferred<[Message, object]>()
    const worker = await workers.start(name, (message, context) => seen.resolve([message, context]))
    const enqueued = await it.pgqrs
      .producer(name)
      .enqueue({ to: 'me' }, { headers: { trace: 't' }, priority: 3 })
    const [message, context] = await seen.promise
    expect(message).toEqual({
      ...enqueued,
      attempt: 1,
      leasedUntil: expect.any(Date),
      dequeuedAt: expect.any(Date),
      leasedBy: worker.ids[0],
    })
    expect(context).toMatchObject({ attempt: 1, extend: expect.any(Function), tx: expect.any(Function) })
    expect((context as { signal: unknown }).signal).toBeInstanceOf(AbortSignal)
  })

  test('is idle when the last look found nothing and all is settled', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => takes(5))
    await worker.idle()
    await fill(name, 30)
    await eventually(() => worker.counters.started > 0)
    await worker.idle()
    expect(await archived(name)).toBe(30)
    expect(worker.counters).toMatchObject({ started: 30, succeeded: 30 })
  })
})

describe('settles', () => {
  test('of handlers that end at the same moment share a statement', async () => {
    const name = await it.newQueue()
    const { pool, texts } = watchedPool(it.dsn)
    const own = await connect({ pool })
    const gate = deferred()
    await fill(name, 100)
    const worker = await workers.start(name, () => gate.promise, { concurrency: 100 }, own)
    await eventually(() => worker.counters.started === 100)
    texts.length = 0
    gate.resolve()
    await eventually(() => worker.counters.succeeded === 100)
    expect(texts.filter((text) => text.includes('pgqrs_archive_batch')).length).toBeLessThanOrEqual(2)
  })

  test('are told as succeeded only after their commit', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {})
    const seen: Promise<unknown>[] = []
    worker.on('succeeded', ({ message }) => {
      seen.push(new PgqrsArchiveTable(it.admin.pool).get(message.id))
    })
    await fill(name, 20)
    await eventually(() => seen.length === 20)
    expect((await Promise.all(seen)).every((message) => message !== null)).toBe(true)
  })
})

describe('a worker of several queues', () => {
  test('gives each its own handler and limits', async () => {
    const [mails, reports] = [await it.newQueue(), await it.newQueue()]
    const most = { mails: 0, reports: 0 }
    const running = { mails: 0, reports: 0 }
    const ran: string[] = []
    const handler = (which: 'mails' | 'reports') => async (message: unknown) => {
      running[which] += 1
      most[which] = Math.max(most[which], running[which])
      ran.push(`${which} ${(message as Message).payload}`)
      await takes(5)
      running[which] -= 1
    }
    await fill(mails, 30)
    await fill(reports, 10)
    await workers.serve([
      { queue: mails, handler: handler('mails'), concurrency: 5 },
      { queue: reports, handler: handler('reports'), concurrency: 1 },
    ])
    await eventually(async () => (await archived(mails)) === 30 && (await archived(reports)) === 10)
    expect(most).toEqual({ mails: 5, reports: 1 })
    expect(ran.filter((one) => one.startsWith('mails'))).toHaveLength(30)
  })

  test('takes what a queue does not say for itself from the options of all', async () => {
    const [one, other] = [await it.newQueue(), await it.newQueue()]
    await it.pgqrs.producer(one).enqueue('x', { maxAttempts: 1 })
    await it.pgqrs.producer(other).enqueue('x', { maxAttempts: 1 })
    const hang = () => new Promise(() => {})
    const worker = await workers.serve(
      [
        { queue: one, handler: hang, timeout: 20 },
        { queue: other, handler: hang },
      ],
      { timeout: 30 },
    )
    const dead = heardFrom(worker, 'dead')
    await eventually(() => dead.length === 2)
    expect(dead.map(({ error }) => (error as Error).message).sort()).toEqual([
      'The handler took longer than 20 ms.',
      'The handler took longer than 30 ms.',
    ])
  })

  test('lets a deep queue starve nobody', async () => {
    const [deep, small] = [await it.newQueue(), await it.newQueue()]
    await fill(deep, 5_000)
    let ranBefore: number | undefined
    const worker = await workers.serve([
      { queue: deep, handler: () => takes(1), concurrency: 4 },
      {
        queue: small,
        handler: () => {
          ranBefore = worker.counters.started
        },
      },
    ])
    await eventually(() => worker.counters.started > 50)
    const asked = worker.counters.started
    await enqueue(small)
    await eventually(() => ranBefore !== undefined)
    expect(ranBefore! - asked).toBeLessThan(2_000)
  })

  test('looks into the others too while one is always busy, though nothing wakes it', async () => {
    const [deep, small] = [await it.newQueue(), await it.newQueue()]
    await fill(deep, 30_000)
    let ran = deferred()
    const worker = await workers.serve(
      [
        { queue: deep, handler: () => takes(1), concurrency: 2 },
        { queue: small, handler: () => ran.resolve() },
      ],
      { listen: false, pollInterval: 100 },
    )
    for (let n = 1; n <= 3; n++) {
      await eventually(() => worker.counters.started > n * 400)
      const from = performance.now()
      await enqueue(small)
      await ran.promise
      expect(performance.now() - from).toBeLessThan(2_500)
      ran = deferred()
    }
    // It was not the end of the deep one that let it look.
    expect(worker.counters.started).toBeLessThan(30_000)
  })

  test('fetches for all of them in one statement', async () => {
    const queues = [await it.newQueue(), await it.newQueue(), await it.newQueue()]
    const { pool, texts } = watchedPool(it.dsn)
    const own = await connect({ pool })
    await Promise.all(queues.map((name) => fill(name, 5)))
    const worker = await workers.serve(
      queues.map((queue) => ({ queue, handler: () => {} })),
      {},
      own,
    )
    await eventually(() => worker.counters.succeeded === 15)
    const claims = texts.filter((text) => /pgqrs_claim/.test(text))
    expect(claims[0]).toContain('pgqrs_claim_batches')
    expect(claims.length).toBeLessThan(15)
  })
})

describe('fetching ahead', () => {
  /** How two workers with slow handlers share 40 messages that come at once. */
  async function shares(): Promise<number[]> {
    const name = await it.newQueue()
    const handler = () => takes(60)
    const both = [
      await workers.start(name, handler, { concurrency: 2 }),
      await workers.start(name, handler, { concurrency: 2 }),
    ]
    await fill(name, 40)
    await eventually(async () => (await archived(name)) === 40)
    return both.map(({ counters }) => counters.succeeded)
  }

  test('never hoards: two workers with slow handlers share 40 messages about evenly', async () => {
    for (const share of await shares()) expect(share).toBeGreaterThanOrEqual(12)
  })

  test('(a prefetch that hoards would fail this)', async () => {
    const hoards = vi.spyOn(Lane.prototype, 'wants').mockImplementation(function (this: Lane) {
      return this.dry || this.info === null ? 0 : 500 - this.running.size - this.waitingCount
    })
    try {
      expect(Math.min(...(await shares()))).toBeLessThan(12)
    } finally {
      hoards.mockRestore()
    }
  })

  test('leaves to another worker all that its own handlers, which hang, do not run', async () => {
    const name = await it.newQueue()
    await fill(name, 20)
    const hanging = await workers.start(name, () => new Promise(() => {}), { concurrency: 3 })
    await eventually(() => hanging.counters.started === 3)
    const free = await workers.start(name, () => {})
    await eventually(() => free.counters.succeeded === 17)
  })

  test('adapts: fast handlers get their messages in few statements', async () => {
    const name = await it.newQueue()
    await fill(name, 5_000)
    const { pool, texts } = watchedPool(it.dsn)
    const own = await connect({ pool })
    const worker = await workers.start(name, () => {}, {}, own)
    await eventually(() => worker.counters.succeeded === 5_000)
    const claims = texts.filter((text) => /pgqrs_claim/.test(text)).length
    expect(claims).toBeLessThan(100)
  })

  test('begins no more handlers while thousands of settles wait, and goes on when they are answered', async () => {
    const name = await it.newQueue()
    await fill(name, 9_000)
    const watched = watchedPool(it.dsn)
    const answer = deferred()
    watched.before = (text) => (/archive_batch|fail_held/.test(text) ? answer.promise : undefined)
    const handler = ({ payload, attempt }: Message) => {
      if (payload === 5_000 && attempt === 1) throw new Error('declined')
    }
    const worker = await workers.start(name, handler, { backoff: 0 }, await connect({ pool: watched.pool }))
    await eventually(() => worker.counters.started >= 3_000)
    // All of them had their turn: what a fetch brings now waits.
    await eventually(async () => (await leased(name)) > 3_000)
    expect(worker.counters.started).toBe(3_000)
    answer.resolve()
    await eventually(() => worker.counters.succeeded === 9_000)
  })

  test('settles by two statements at once, no more, where thousands wait; each message once', async () => {
    const name = await it.newQueue()
    await fill(name, 9_000)
    const watched = watchedPool(it.dsn)
    const both = deferred()
    let running = 0
    let most = 0
    const count = (more: number) => (text: string) => {
      if (!/archive_batch/.test(text)) return undefined
      running += more
      most = Math.max(most, running)
      if (running === 2) both.resolve()
      return both.promise
    }
    watched.before = count(1)
    watched.after = count(-1)
    const worker = await workers.start(name, () => {}, {}, await connect({ pool: watched.pool }))
    await eventually(() => worker.counters.succeeded === 9_000)
    expect([most, worker.counters.started, worker.counters.lost]).toEqual([2, 9_000, 0])
  })

  test('fetches the next messages while fast handlers run', async () => {
    const name = await it.newQueue()
    await fill(name, 8_000)
    const watched = watchedPool(it.dsn)
    let claims = 0
    const count = (more: number) => (text: string) => {
      if (/pgqrs_claim/.test(text)) claims += more
      return undefined
    }
    watched.before = count(1)
    watched.after = count(-1)
    let meanwhile = 0
    const handler = () => {
      if (claims > 0) meanwhile += 1
    }
    const worker = await workers.start(name, handler, {}, await connect({ pool: watched.pool }))
    await eventually(() => worker.counters.succeeded === 8_000)
    expect(meanwhile).toBeGreaterThan(2_000)
  })

  test('fetches a batch whole that is larger than what it fetches for single handlers', async () => {
    const name = await it.newQueue()
    await fill(name, 5_000)
    const sizes: number[] = []
    const worker = it.pgqrs.worker(name, (messages) => sizes.push(messages.length), {
      concurrency: 1,
      batch: { size: 2_500 },
    })
    await eventually(() => worker.counters.succeeded === 5_000)
    await worker.stop()
    expect(sizes).toEqual([2_500, 2_500])
  })

  test('is bounded by what the worker is told', async () => {
    const name = await it.newQueue()
    await fill(name, 1_000)
    let count = 0
    // Fast ones, and then one that hangs in each slot.
    const handler = () => {
      count += 1
      return count > 300 ? new Promise(() => {}) : undefined
    }
    const worker = await workers.start(name, handler, { concurrency: 2, prefetch: 7 })
    await eventually(() => worker.counters.succeeded === 300)
    const held = await leased(name)
    expect(held).toBeGreaterThanOrEqual(2)
    expect(held).toBeLessThanOrEqual(9)
  })

  test('gives back what it fetched for handlers that were fast and are not any more', async () => {
    const name = await it.newQueue()
    const hang = deferred()
    let calls = 0
    const handler = () => (++calls > 1_000 ? hang.promise : undefined)
    const slow = await workers.start(name, handler, { concurrency: 2, lease: 600, pollInterval: '10s' })
    await fill(name, 3_000)
    await eventually(() => slow.counters.started >= 1_002)
    const free = await workers.start(name, () => {}, { pollInterval: '10s' })
    await eventually(async () => (await archived(name)) === 2_998)
    expect(free.counters.succeeded).toBeGreaterThan(0)
    const { rows } = await it.outside.query(
      `select attempt - given_back as counted from pgqrs_archive a join pgqrs_queues q on q.id = a.queue_id
       where q.name = $1 group by 1`,
      [name],
    )
    expect(rows).toEqual([{ counted: 1 }])
    hang.resolve()
    await eventually(async () => (await archived(name)) === 3_000)
  })
})
