// A worker on a small pool that its program uses too.

import pg from 'pg'
import { connect, type Handler, type Pgqrs } from 'pgqrs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { tablesOf, violations } from '../harness/ledger.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'
import { bookedWorker } from '../harness/worker-book.js'

const callTimeout = '500ms' as const

/** A pool of the program's own, which waits for a connection as long as it takes. */
async function onPoolOf(max: number, own: OwnQueue): Promise<{ pool: pg.Pool; pgqrs: Pgqrs<pg.Pool> }> {
  const pool = new pg.Pool({ connectionString: own.dsn, max })
  pool.on('error', () => {})
  onTestFinished(() => pool.end())
  return { pool, pgqrs: await connect({ pool }) }
}

const settled = async ({ sql }: OwnQueue) =>
  (await sql(`select from pgqrs_messages m join pgqrs_queues q on q.id = m.queue_id where q.name = 'work'`))
    .length === 0

describe.each([1, 2])('a pool of %i', (max) => {
  test('that the program takes as a whole for a while: the worker says so, and goes on afterwards', async () => {
    const own = await ownQueue()
    const { pool, pgqrs } = await onPoolOf(max, own)
    const booked = await bookedWorker(pgqrs, own.queue, { callTimeout, lease: '1s' })
    const taken = await Promise.all(Array.from({ length: max }, () => pool.connect()))
    const enqueued = await fill(own, 200)
    await eventually(() => booked.changes.includes('degraded database'))

    for (const client of taken) client.release()

    await eventually(() => settled(own))
    expect(violations({ enqueued, ...booked.books, ...(await tablesOf(own)) })).toEqual([])
    expect(booked.errors).toEqual([])
    expect(pool.waitingCount).toBeLessThanOrEqual(1)
  })

  test('that twenty handlers use for their transactions', async () => {
    const own = await ownQueue()
    await own.sql('create table seen (id bigint primary key)')
    const { pgqrs } = await onPoolOf(max, own)
    const enqueued = await fill(own, 300)
    const handler: Handler = ({ id }, { tx }) =>
      tx((client) => client.query('insert into seen values ($1)', [id]))
    const booked = await bookedWorker(pgqrs, own.queue, { concurrency: 20 }, handler)
    await eventually(() => settled(own), { timeoutMs: 20_000 })
    await eventually(() => booked.accepted.length === 300)
    expect(violations({ enqueued, ...booked.books, ...(await tablesOf(own)) })).toEqual([])
    expect(await own.sql('select from seen')).toHaveLength(300)
  })

  test('that handlers wait for while they hold all of it: with their leases the deadlock ends', async () => {
    const own = await ownQueue({ maxAttempts: 2 })
    await own.pgqrs.admin.createQueue('other')
    const { pgqrs } = await onPoolOf(max, own)
    await fill(own, 2 * max)
    const options = { concurrency: 4, lease: '500ms' as const, callTimeout }
    // Wrong, and easily written: the enqueue takes a second connection while the first is held.
    const handler: Handler = ({ payload }, { tx }) =>
      (payload as { n: number }).n < 0 || tx(() => pgqrs.producer('other').enqueue({}))
    await bookedWorker(pgqrs, own.queue, options, handler)
    await eventually(() => settled(own), { timeoutMs: 20_000, what: 'they are done, or dead' })

    await own.pgqrs.producer(own.queue).enqueue({ n: -1 })

    const done = async () =>
      (await own.sql(`select from pgqrs_archive where payload->>'n' = '-1' and outcome = 'archived'`)).length
    await eventually(done)
  })
})
