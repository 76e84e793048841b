// A server that is restarted under a worker at work: the worker goes on by itself, and nothing is lost or done twice.

import { connect } from 'pgqrs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { tablesOf, violations } from '../harness/ledger.js'
import { steadyLoad } from '../harness/load.js'
import { Network } from '../harness/network.js'
import { type OwnServer, ownServer } from '../harness/own-server.js'
import { atRateAfter, bookedWorker, isTold } from '../harness/worker-book.js'

const perSecond = 2_000
const lease = '3s'

describe.each(['fast', 'immediate'] as const)('a restart of the server under load (%s)', (mode) => {
  test('the worker is at full rate again within two seconds, nothing is lost, nothing settled twice', async () => {
    const own = await ownServer()
    const pgqrs = await connect(own.dsn)
    onTestFinished(() => pgqrs.close())
    const booked = await bookedWorker(pgqrs, own.queue, { lease })
    const load = steadyLoad(own.pgqrs, own.queue, perSecond)
    const begun = performance.now()
    await eventually(() => atRateAfter(booked.acceptedAt, begun + 500, perSecond) !== null)

    await own.server.restart(mode)
    const returned = performance.now()
    const after = await eventually(() => atRateAfter(booked.acceptedAt, returned, perSecond) ?? false, {
      what: 'the worker is at full rate again',
    })

    console.log(`${mode}: at full rate ${after.toFixed(0)} ms after the server's return`)
    const enqueued = await load.stop()
    await drained(own)
    const { changes, errors } = booked
    expect(after).toBeLessThan(2_000)
    expect(errors).toEqual([])
    expect(violations({ enqueued, ...booked.books, ...(await tablesOf(own)) })).toEqual([])
    expect(isTold(changes, 'database')).toBe(true)
    await eventually(() => isTold(changes, 'listen'), { what: 'it listens again' })
    expect(changes.length).toBeGreaterThanOrEqual(2)
    // One for each of the two in most runs: while the server ends, a connection may outlive another by a moment, and
    // a restart may be over before a call meets it.
    expect(changes.length).toBeLessThanOrEqual(8)
  })
})

async function drained({ sql }: OwnServer): Promise<void> {
  const live = async () => (await sql('select from pgqrs_messages limit 1')).length
  await eventually(async () => (await live()) === 0, { timeoutMs: 15_000, what: 'all are settled' })
}

test('while the server is away the worker asks for it with growing pauses, and no more', async () => {
  const own = await ownServer()
  const network = await Network.start(own.dsn)
  const pgqrs = await connect(network.dsnOf(own.dsn))
  onTestFinished(() => pgqrs.close())
  const booked = await bookedWorker(pgqrs, own.queue)

  network.become('refuse')
  const gone = performance.now()
  const before = network.opened
  await eventually(() => network.opened - before >= 12, { timeoutMs: 20_000, everyMs: 5 })
  const took = performance.now() - gone
  network.become('pass')
  const message = await own.pgqrs.producer(own.queue).enqueue({})
  await eventually(() => booked.accepted.includes(message.id))

  // A loop without pauses is through with twelve in a few milliseconds.
  expect(took).toBeGreaterThan(500)
  expect(booked.changes.filter((change) => change === 'degraded database')).toHaveLength(1)
  expect(booked.errors).toEqual([])
})
