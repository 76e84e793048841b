// How a worker stops: what runs may end, what waits is given back, and no message loses an attempt by it.

import { describe, expect, onTestFinished, test } from 'vitest'
import { connect, PgqrsArchiveTable, type PgqrsError, PgqrsMessages, PgqrsWorkers } from '../../src/index.js'
import { temporaryServer } from '../../src/postgres/index.js'
import { eventually } from '../harness/eventually.js'
import { startProcess } from '../harness/processes.js'
import { binariesUnderTest } from '../harness/server-under-test.js'
import { spec } from '../harness/spec.js'
import { deferred, heardFrom, next, takes, wakeable, watchedPool, workersOf } from '../harness/workers.js'
import type { WorkerProgram, WorkerSays } from '../programs/worker.js'

const it = spec()
const workers = workersOf(it)
const live = (id: string) => new PgqrsMessages(it.admin.pool).get(id)
const kept = (id: string) => new PgqrsArchiveTable(it.admin.pool).get(id)
const enqueue = (name: string, payload: unknown = 'x') => it.pgqrs.producer(name).enqueue(payload)
const fill = (name: string, count: number) =>
  it.pgqrs.producer(name).batchEnqueue(Array.from({ length: count }, (_, n) => n))
/** The live messages of a queue: how many attempts of each count, and whether it is held. */
const left = (name: string) =>
  it.sql<{ counted: number; held: boolean; count: number }>(
    `select attempt - given_back as counted, leased_until is not null as held, count(*)::int as count
     from pgqrs_messages m join pgqrs_queues q on q.id = m.queue_id where q.name = $1 group by 1, 2`,
    [name],
  )

describe('stop', () => {
  test('waits for what runs, which settles as ever', async () => {
    const name = await it.newQueue()
    const end = deferred()
    const worker = await workers.start(name, () => end.promise)
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    let over = false
    const stopped = worker.stop().then(() => {
      over = true
    })
    await eventually(
      async () => (await new PgqrsWorkers(it.admin.pool).get(worker.ids[0]!))?.state === 'stopping',
    )
    expect([over, worker.phase]).toEqual([false, 'stopping'])
    end.resolve()
    await stopped
    expect(await kept(id)).toMatchObject({ outcome: 'archived', attempt: 1 })
    expect(worker.phase).toBe('stopped')
    expect(worker.counters).toMatchObject({ succeeded: 1, released: 0 })
  })

  test('fetches nothing more', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(name, () => {}, { pollInterval: 10 })
    await worker.stop()
    const { id } = await enqueue(name)
    const other = await workers.start(name, () => {})
    await next(other, 'succeeded')
    expect((await kept(id))?.leasedBy).toBe(other.ids[0])
    expect(worker.counters.started).toBe(0)
  })

  test('gives back at once what was fetched and not begun, and no attempt of it counts', async () => {
    const name = await it.newQueue()
    const end = deferred()
    let count = 0
    const handler = () => {
      count += 1
      return count > 500 ? end.promise : undefined
    }
    await fill(name, 2_000)
    const worker = await workers.start(name, handler, { concurrency: 2, pollInterval: '10s' })
    await eventually(() => worker.counters.started === 502)
    const stopped = worker.stop()
    // While the handlers still run.
    await eventually(async () => {
      const held = (await left(name)).filter(({ held }) => held)
      return held.length === 1 && held[0]!.count === 2
    })
    const free = (await left(name)).filter(({ held }) => !held)
    expect(free).toEqual([{ counted: 0, held: false, count: 1_498 }])
    const other = await workers.start(name, () => {})
    await eventually(() => other.counters.succeeded === 1_498)
    end.resolve()
    await stopped
    expect(await left(name)).toEqual([])
    const [row] = await it.sql<{ counted: number }>(
      `select max(attempt - given_back)::int as counted from pgqrs_archive a
       join pgqrs_queues q on q.id = a.queue_id where q.name = $1`,
      [name],
    )
    expect(row).toEqual({ counted: 1 })
    expect(worker.counters).toMatchObject({ succeeded: 502, lost: 0 })
  })

  test('aborts the signals when the time is over, and releases what ends then without a lost attempt', async () => {
    const name = await it.newQueue({ maxAttempts: 1 })
    const reason = deferred<PgqrsError>()
    const worker = await workers.start(
      name,
      (_, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reason.resolve(signal.reason)
            reject(signal.reason)
          })
        }),
    )
    const events = heardFrom(worker, 'failed', 'retried', 'dead', 'lost', 'error')
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    await worker.stop({ timeout: 30 })
    expect(await reason.promise).toMatchObject({ code: 'CLOSED' })
    expect(await live(id)).toMatchObject({ attempt: 1, givenBack: 1, leasedUntil: null, lastError: null })
    expect(events).toEqual([])
    expect(worker.counters).toMatchObject({ released: 1, failed: 0 })
    // The one attempt it has is still before it.
    await workers.start(name, () => {})
    expect(await eventually(() => kept(id))).toMatchObject({ outcome: 'archived', attempt: 2, givenBack: 1 })
  })

  test('lets a handler that ends well when its signal is aborted succeed', async () => {
    const name = await it.newQueue()
    const worker = await workers.start(
      name,
      (_, { signal }) => new Promise<void>((done) => signal.addEventListener('abort', () => done())),
    )
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    await worker.stop({ timeout: 0 })
    expect(await kept(id)).toMatchObject({ outcome: 'archived' })
  })

  test('does not wait for a handler that ignores its signal: its message is released, and it settles nothing', async () => {
    const name = await it.newQueue()
    const end = deferred()
    const worker = await workers.start(name, () => end.promise)
    const events = heardFrom(worker, 'succeeded', 'failed', 'lost')
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    const from = performance.now()
    await worker.stop({ timeout: 50 })
    expect(performance.now() - from).toBeLessThan(5_000)
    expect(await live(id)).toMatchObject({ attempt: 1, givenBack: 1, leasedUntil: null })
    end.resolve()
    await takes(0)
    await takes(0)
    expect(await live(id)).toMatchObject({ attempt: 1, givenBack: 1, leasedUntil: null })
    expect(events).toEqual([])
  })

  test('lets nothing of a transaction be committed that is still open when its message is released', async () => {
    const name = await it.newQueue()
    await it.sql('create table if not exists late_writes (n int)')
    const open = deferred()
    const goOn = deferred()
    const outcome = deferred<PgqrsError>()
    const worker = await workers.start(name, (_, { tx }) =>
      tx(async (client) => {
        await client.query('insert into late_writes values (1)')
        open.resolve()
        await goOn.promise
      }).catch((error) => outcome.resolve(error)),
    )
    const events = heardFrom(worker, 'lost', 'succeeded')
    const { id } = await enqueue(name)
    await open.promise
    await worker.stop({ timeout: 0 })
    goOn.resolve()
    expect(await outcome.promise).toMatchObject({ code: 'LEASE_LOST' })
    expect(await it.sql('select from late_writes')).toEqual([])
    expect(await live(id)).toMatchObject({ givenBack: 1 })
    expect(events).toEqual([])
  })

  test('waits until what ended is settled', async () => {
    const name = await it.newQueue()
    const watched = watchedPool(it.dsn)
    const own = await connect({ pool: watched.pool })
    const slow = deferred()
    onTestFinished(() => slow.resolve())
    const worker = await workers.start(name, () => {}, {}, own)
    watched.before = (text) => (text.includes('pgqrs_archive_batch') ? slow.promise : undefined)
    const started = next(worker, 'started')
    const { id } = await enqueue(name)
    await started
    let over = false
    const stopped = worker.stop({ timeout: 0 }).then(() => {
      over = true
    })
    await eventually(() => worker.phase === 'stopping')
    expect(over).toBe(false)
    slow.resolve()
    await stopped
    expect(await kept(id)).toMatchObject({ outcome: 'archived' })
  })

  test('twice is once: both resolve when it has stopped', async () => {
    const worker = await workers.start(await it.newQueue(), () => {})
    const phases: string[] = []
    worker.on('state', (phase) => phases.push(phase))
    await Promise.all([worker.stop(), worker.stop(), worker.stopped()])
    await worker.stop()
    expect(phases).toEqual(['stopping', 'stopped'])
  })

  test('before it is ready stops it all the same', async () => {
    const name = await it.newQueue()
    await fill(name, 10)
    const worker = workers.begin(name, () => {})
    await worker.stop()
    expect(worker.phase).toBe('stopped')
    await worker.ready().catch(() => {})
    expect((await left(name)).map(({ held }) => held)).not.toContain(true)
    const states = await it.admin.workers.list({ queue: name })
    expect(states.filter(({ state }) => state !== 'stopped')).toEqual([])
  })

  test('is what `await using` does', async () => {
    const name = await it.newQueue()
    let kept_: { phase: string } | undefined
    {
      await using worker = it.pgqrs.worker(name, () => takes(20), wakeable(it.directDsn))
      kept_ = worker
      const started = next(worker, 'started')
      await enqueue(name)
      await started
    }
    expect(kept_.phase).toBe('stopped')
    expect(await left(name)).toEqual([])
  })

  test.each([
    [{ timeout: 'soon' }, /timeout/],
    [{ timeout: -1 }, /timeout/],
    [{ timout: '1s' }, /timout/],
  ])('with %j is refused, and the worker goes on', async (options, message) => {
    const worker = await workers.start(await it.newQueue(), () => {})
    await expect(worker.stop(options as never)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringMatching(message),
    })
    expect(worker.phase).toBe('ready')
  })
})

test('a deploy: another worker goes on at once, each message runs to its end once, no attempt is lost', async () => {
  const name = await it.newQueue({ maxAttempts: 1 })
  const ended: string[] = []
  const handler = async ({ id }: { id: string }, { signal }: { signal: AbortSignal }) => {
    await takes(2)
    signal.throwIfAborted()
    ended.push(id)
  }
  const messages = await fill(name, 1_500)
  let worker = await workers.start(name, handler, { pollInterval: '10s' })
  for (let n = 1; n <= 3; n++) {
    await eventually(() => ended.length > n * 200)
    const before = worker
    worker = await workers.start(name, handler, { pollInterval: '10s' })
    await before.stop()
    expect(before.counters).toMatchObject({ failed: 0, lost: 0 })
  }
  await eventually(() => ended.length === messages.length)
  await worker.idle()
  expect(new Set(ended).size).toBe(messages.length)
  expect(await it.admin.deadLetters.count(name)).toBe(0)
})

test('a worker whose database is away stops in time, and what it holds is free after its lease', async () => {
  const server = await temporaryServer({ binaries: binariesUnderTest() })
  onTestFinished(() => server.stop('immediate'))
  const own = await connect(server.dsn)
  onTestFinished(() => own.close())
  await own.admin.install()
  await own.admin.createQueue('work')
  const worker = own.worker('work', () => new Promise(() => {}), { concurrency: 2 })
  await worker.ready()
  const errors = heardFrom(worker, 'error')
  await own.producer('work').batchEnqueue([1, 2, 3, 4])
  await eventually(() => worker.counters.started === 2)
  const degraded = next(worker, 'degraded', ({ what }) => what === 'database')
  await server.stop('immediate')
  await worker.suspend()
  worker.resume()
  await degraded
  const from = performance.now()
  await worker.stop({ timeout: 100 })
  expect(performance.now() - from).toBeLessThan(15_000)
  expect(worker.phase).toBe('stopped')
  expect(worker.counters.started).toBe(2)
  expect(errors.length).toBeLessThan(20)
})

test('a process ends by itself when its worker has stopped and its connection is closed', async () => {
  const name = await it.newQueue()
  await fill(name, 20)
  await it.pgqrs.producer(name).enqueue('later', { delay: '10m' })
  const program: WorkerProgram = { dsn: it.dsn, queue: name, handler: 'quick', ...wakeable(it.directDsn) }
  const child = startProcess<WorkerSays>('../programs/worker.ts', import.meta.url, {
    args: [JSON.stringify(program)],
  })
  await child.next((said) => 'ready' in said)
  await eventually(() => child.said.filter((said) => 'succeeded' in said).length === 20)
  child.tell({ stop: 1_000 })
  const { stopped } = (await child.next((said) => 'stopped' in said)) as { stopped: object }
  expect(stopped).toMatchObject({ started: 20, succeeded: 20, lost: 0 })
  const from = performance.now()
  expect(await child.exited()).toEqual({ code: 0, signal: null })
  expect(performance.now() - from).toBeLessThan(5_000)
  expect(child.stderr()).toBe('')
})

test('a process ends by itself when its worker was stopped with a handler that never ends', async () => {
  const name = await it.newQueue()
  const program: WorkerProgram = { dsn: it.dsn, queue: name, handler: 'hang', ...wakeable(it.directDsn) }
  const child = startProcess<WorkerSays>('../programs/worker.ts', import.meta.url, {
    args: [JSON.stringify(program)],
  })
  await child.next((said) => 'ready' in said)
  const { id } = await enqueue(name)
  await child.next((said) => 'started' in said)
  child.tell({ stop: 10 })
  expect(await child.exited()).toEqual({ code: 0, signal: null })
  expect(await live(id)).toMatchObject({ givenBack: 1, leasedUntil: null })
})
