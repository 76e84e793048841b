// A network between worker and server that swallows packets, keeps them back, or breaks off at the worst moment.

import pg from 'pg'
import { connect, type Handler } from 'pgqrs'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Calls } from '../../src/worker/calls.js'
import { breakFunction, fenceOf } from '../harness/broken.js'
import { eventually } from '../harness/eventually.js'
import { tablesOf, violations } from '../harness/ledger.js'
import { Network } from '../harness/network.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'
import { bookedWorker, isTold } from '../harness/worker-book.js'

const callTimeout = '500ms'

/** A queue, a network before its server, and a program that is connected through it. */
async function behindNetwork(ownPool = false) {
  const own = await ownQueue()
  const network = await Network.start(own.directDsn)
  const connectionString = network.dsnOf(own.directDsn)
  if (!ownPool) {
    const pgqrs = await connect(connectionString)
    onTestFinished(() => pgqrs.close())
    return { own, network, pgqrs }
  }
  const pool = new pg.Pool({ connectionString, max: 5 })
  pool.on('error', () => {})
  return { own, network, pgqrs: await connect({ pool }) }
}

const untilAborted: Handler = (_, { signal }) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

const settled = async (own: OwnQueue) => (await tablesOf(own)).live.length === 0

describe.each([
  ['a pool of pgqrs', false],
  ["the program's own pool, which waits for ever", true],
])('a network that swallows what is sent, with %s', (_, ownPool) => {
  test('handlers are told before their leases are over, and the worker goes on when it is back', async () => {
    const { own, network, pgqrs } = await behindNetwork(ownPool)
    await own.sql('select')
    const told = new Map<string, number>()
    let calm = false
    const handler: Handler = async (message, context) => {
      if (calm) return
      await untilAborted(message, context)
      told.set(message.id, Date.now())
    }
    const booked = await bookedWorker(pgqrs, own.queue, { callTimeout, lease: '1500ms' }, handler)
    const enqueued = await fill(own, 5)
    await eventually(() => booked.deliveries.length === 5)

    network.become('swallow')
    const swallowed = performance.now()
    await eventually(() => booked.changes.includes('degraded database'))
    const toldAfter = performance.now() - swallowed
    await eventually(() => booked.lost.length === 5)
    // Nobody can have changed them meanwhile, and the clock of this machine is the server's.
    const leases = await own.sql<{ id: string; until: Date }>(
      'select id, leased_until as until from pgqrs_messages',
      [],
    )
    calm = true
    network.become('pass')
    const back = performance.now()
    await eventually(() => settled(own), { timeoutMs: 20_000 })
    const workedAfter = performance.now() - back

    console.log(
      `degraded after ${toldAfter.toFixed(0)} ms, done ${workedAfter.toFixed(0)} ms after the return`,
    )
    expect(toldAfter).toBeLessThan(4_000)
    expect(workedAfter).toBeLessThan(8_000)
    expect(leases.map(({ id, until }) => (told.get(id) ?? Number.NaN) <= until.getTime())).toEqual(
      Array(5).fill(true),
    )
    await eventually(() => booked.accepted.length === 5)
    expect(violations({ enqueued, ...booked.books, ...(await tablesOf(own)) })).toEqual([])
    expect(booked.deliveries.map(({ attempt }) => attempt)).toEqual([
      ...Array(5).fill(1),
      ...Array(5).fill(2),
    ])
    expect(booked.errors).toEqual([])
    await eventually(() => isTold(booked.changes, 'listen') && isTold(booked.changes, 'database'), {
      timeoutMs: 20_000,
    })
  })
})

test('a listening connection that is dead and does not say so is found out, and a message starts at once', async () => {
  const { own, network, pgqrs } = await behindNetwork()
  const booked = await bookedWorker(pgqrs, own.queue, { callTimeout, pollInterval: '30s' })
  await eventually(() => network.linksThatSent('listen "pgqrs_').length === 1)
  await own.pgqrs.producer(own.queue).enqueue({})
  await eventually(() => booked.accepted.length === 1)

  expect(network.deaden('listen "pgqrs_')).toBe(1)

  await eventually(() => booked.changes.includes('recovered listen'))
  const asked = performance.now()
  await own.pgqrs.producer(own.queue).enqueue({})
  await eventually(() => booked.accepted.length === 2, { everyMs: 1 })
  expect(performance.now() - asked).toBeLessThan(2_000)
  expect(booked.changes).toEqual(['degraded listen', 'recovered listen'])
})

test('a network that is slow, breaks, and half closes: nothing is lost or settled twice', async () => {
  const { own, network, pgqrs } = await behindNetwork()
  const booked = await bookedWorker(pgqrs, own.queue, { lease: '1s' })
  const enqueued: string[] = []
  for (const fault of [() => network.reset(), () => network.halfClose()])
    for (let round = 0; round < 10; round++) {
      network.delayMs = round
      enqueued.push(...(await fill(own, 100)))
      const before = booked.accepted.length
      await eventually(() => booked.accepted.length > before, { everyMs: 1 })
      fault()
    }
  await eventually(() => settled(own), { timeoutMs: 15_000 })
  await eventually(() => booked.accepted.length === enqueued.length)
  expect(violations({ enqueued, ...booked.books, ...(await tablesOf(own)) })).toEqual([])
  expect(booked.errors).toEqual([])
  expect(booked.lost).toEqual([])
})

describe('a settle that was carried out, and the connection died before its answer', () => {
  /** Loses the answer to the first archive that the worker sends. */
  async function answerLost(options: { tx?: boolean } = {}) {
    const { own, network, pgqrs } = await behindNetwork()
    const handler: Handler = (_message, { tx }) => (options.tx ? tx(async () => {}) : undefined)
    const booked = await bookedWorker(pgqrs, own.queue, {}, handler)
    // The commit of a transaction; or the archive that is its own.
    const lost = network.loseAnswerTo(options.tx ? 'commit\0' : 'pgqrs_archiveHeld_')
    const [id] = await fill(own, 1)
    await lost
    const told = () => booked.accepted.length + booked.lost.length + booked.errors.length > 0
    await eventually(told, { timeoutMs: 20_000 })
    return { own, id, booked, tables: await tablesOf(own), counters: booked.worker.counters }
  }

  test.each([
    ['by itself', false],
    ["in the handler's own transaction", true],
  ])('is made again, counts once, and is no loss (%s)', async (_, tx) => {
    const { id, booked, tables, counters } = await answerLost({ tx })
    expect(counters).toMatchObject({ started: 1, succeeded: 1, lost: 0, failed: 0 })
    expect(tables).toEqual({ archived: [{ id, attempt: 1 }], live: [] })
    expect(booked.errors).toEqual([])
    expect(booked.changes.filter((change) => change.endsWith('database'))).toEqual(
      tx ? [] : ['degraded database', 'recovered database'],
    )
  })

  test('is found out to be lost where it is not made again', async () => {
    vi.spyOn(Calls.prototype, 'persistently').mockImplementation(function (this: Calls, work) {
      return work(this.session, 0)
    })
    onTestFinished(() => void vi.restoreAllMocks())
    const { booked, counters } = await answerLost()
    expect(counters.succeeded).toBe(0)
    expect(booked.errors).toHaveLength(1)
  })

  test('is found out to be taken for lost where nobody asks what the first try did', async () => {
    const { persistently } = Calls.prototype
    vi.spyOn(Calls.prototype, 'persistently').mockImplementation(function (this: Calls, work, options) {
      return persistently.call(this, (session) => work(session, 0), options) as never
    })
    onTestFinished(() => void vi.restoreAllMocks())
    const { counters } = await answerLost()
    expect(counters).toMatchObject({ succeeded: 0, lost: 1 })
  })
})

describe('a settle that arrives after its lease, when another has the message', () => {
  /** The network keeps it back until the other holds the message; then the other settles. */
  async function late(own: OwnQueue) {
    const network = await Network.start(own.directDsn)
    const pgqrs = await connect(network.dsnOf(own.directDsn))
    onTestFinished(() => pgqrs.close())
    const handler: Handler = () => network.become('hold')
    const options = { lease: '500ms', name: 'late', prefetch: 0 } as const
    const booked = await bookedWorker(pgqrs, own.queue, options, handler)
    const [id] = await fill(own, 1)
    await eventually(() => network.mode === 'hold')
    const other = own.pgqrs.consumer(own.queue)
    const held = await eventually(() => other.dequeue({ lease: '1m' }))
    expect(held.id).toBe(id)
    network.become('pass')
    await eventually(() => booked.lost.length + booked.accepted.length > 0)
    const archived = await other.archive(held, 'other')
    const by = await own.sql<{ archived_by: string }>('select archived_by from pgqrs_archive')
    return { late: booked.worker.counters, archived, by: by.map(({ archived_by }) => archived_by) }
  }

  test('is refused, and the other one counts', async () => {
    const { late: counters, archived, by } = await late(await ownQueue())
    expect(counters).toMatchObject({ succeeded: 0, lost: 1 })
    expect({ archived, by }).toEqual({ archived: true, by: ['other'] })
  })

  test('is found out to take the message away where it has no fence', async () => {
    const own = await ownQueue()
    await breakFunction(own.directDsn, 'pgqrs_take', fenceOf('pgqrs_take'), '')
    const { archived, by } = await late(own)
    expect({ archived, by }).toEqual({ archived: false, by: ['late'] })
  })
})
