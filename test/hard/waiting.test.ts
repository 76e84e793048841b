// Who waits for whom: claims for nobody, settles for each other in one order, so that they never deadlock.

import type pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { breakFunction } from '../harness/broken.js'
import { ConsumerProcess } from '../harness/consumers.js'
import { eventually } from '../harness/eventually.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'

/** A transaction that stays open; rolled back when the test is over. It waits for no lock longer than this. */
async function openTransaction({ pgqrs }: OwnQueue): Promise<pg.PoolClient> {
  const client = await pgqrs.pool.connect()
  onTestFinished(async () => {
    await client.query('rollback')
    client.release()
  })
  await client.query('begin')
  await client.query(`set local lock_timeout = '1500ms'`)
  return client
}

describe('a claim', () => {
  test('waits for no other claim that is not committed, and gets the messages behind it', async () => {
    const own = await ownQueue()
    const ids = await fill(own, 15)
    const claims: string[][] = []
    for (let n = 0; n < 3; n++) {
      const tx = await openTransaction(own)
      const claimed = await own.pgqrs.consumer(own.queue).dequeueBatch(5, { tx })
      claims.push(claimed.map(({ id }) => id))
    }
    expect(claims).toEqual([ids.slice(0, 5), ids.slice(5, 10), ids.slice(10)])
    const tx = await openTransaction(own)
    expect(await own.pgqrs.consumer(own.queue).dequeueBatch(5, { tx })).toEqual([])
  })

  test('that is rolled back has taken nothing: the messages are ready in their old place', async () => {
    const own = await ownQueue()
    const ids = await fill(own, 6)
    const consumer = own.pgqrs.consumer(own.queue)
    const tx = await openTransaction(own)
    await consumer.dequeueBatch(3, { tx })
    await tx.query('rollback')
    const claimed = await consumer.dequeueBatch(6)
    expect(claimed.map(({ id }) => id)).toEqual(ids)
    expect(claimed.map(({ attempt }) => attempt)).toEqual(Array(6).fill(1))
  })

  test('waits for no settle and no enqueue that is not committed', async () => {
    const own = await ownQueue()
    const [, , , , fifth] = await fill(own, 5)
    const consumer = own.pgqrs.consumer(own.queue)
    for (const settle of ['archive', 'delete', 'release', 'fail'] as const) {
      const message = await consumer.dequeue({ lease: '10m' })
      await consumer[settle](message!, { tx: await openTransaction(own) } as never)
    }
    await own.pgqrs.producer(own.queue).enqueue({ n: 6 }, { tx: await openTransaction(own) })
    const tx = await openTransaction(own)
    const claimed = await own.pgqrs.consumer(own.queue).dequeueBatch(10, { tx })
    expect(claimed.map(({ id }) => id)).toEqual([fifth])
  })

  test('is found out to wait where it does not skip what is locked', async () => {
    const own = await ownQueue()
    await fill(own, 15)
    await breakFunction(own.directDsn, 'pgqrs_claim_batch', 'for update skip locked', 'for update')
    await own.pgqrs.consumer(own.queue).dequeueBatch(5, { tx: await openTransaction(own) })
    const second = own.pgqrs.consumer(own.queue).dequeueBatch(5, { tx: await openTransaction(own) })
    await expect(second).rejects.toMatchObject({ code: 'DATABASE_TIMEOUT', details: { sqlstate: '55P03' } })
  })
})

describe('a lease that is taken in a transaction which began long before', () => {
  /** @returns by how many milliseconds the lease is shorter than it should be; not above 0 when all is well */
  async function shortByMs(own: OwnQueue): Promise<number> {
    await fill(own, 1)
    const tx = await openTransaction(own)
    const age = 'extract(epoch from clock_timestamp() - now()) * 1000 as ms'
    await eventually(async () => (await tx.query(`select ${age}`)).rows[0].ms > 300)
    const { rows } = await tx.query(`select clock_timestamp() + interval '1 second' as least`)
    const message = await own.pgqrs.consumer(own.queue).dequeue({ tx, lease: '1s' })
    return rows[0].least.getTime() - message!.leasedUntil!.getTime()
  }

  test('is whole: it begins with the claim, not with the transaction', async () => {
    expect(await shortByMs(await ownQueue())).toBeLessThanOrEqual(0)
  })

  test("is found out to be short where the transaction's clock is asked", async () => {
    const own = await ownQueue()
    await breakFunction(own.directDsn, 'pgqrs_claim_batch', 'clock_timestamp()', 'now()')
    expect(await shortByMs(own)).toBeGreaterThan(200)
  })
})

describe('settles of overlapping batches from several processes', () => {
  const hows = ['archive', 'delete', 'release', 'fail', 'extend', 'extend'] as const

  /** In each round all processes settle most of the same 200 messages, each in its own way and order. */
  async function rounds(own: OwnQueue, count: number) {
    const processes = await ConsumerProcess.startMany(4, own)
    const consumer = own.pgqrs.consumer(own.queue)
    const errors: unknown[] = []
    const acceptedTwice: string[] = []
    for (let round = 0; round < count && errors.length === 0; round++) {
      await own.pgqrs.admin.purgeQueue(own.queue)
      await fill(own, 200)
      const held = (await consumer.dequeueBatch(200, { lease: '10m' })).map(({ id, attempt }) => ({
        id,
        attempt,
      }))
      const settled = new Set<string>()
      const said = processes.map(async (process, n) => {
        const how = hows[(round + n) % hows.length] as (typeof hows)[number]
        const batch = shuffled(held).slice(0, 150)
        const answer = await process.settle(how, batch)
        if ('error' in answer) errors.push(answer.sqlstate ?? answer.error)
        else if (how !== 'extend')
          for (const { id } of batch.filter((_, i) => answer.settled[i]))
            if (settled.has(id)) acceptedTwice.push(id)
            else settled.add(id)
      })
      await Promise.all(said)
    }
    return { errors, acceptedTwice }
  }

  test('never deadlock, and each message is settled by one of them', async () => {
    expect(await rounds(await ownQueue(), 60)).toEqual({ errors: [], acceptedTwice: [] })
  })

  test('are found out to deadlock where they do not lock in the order of the ids', async () => {
    const own = await ownQueue()
    // The others take the order from the index.
    for (const name of ['release_held', 'extend_held'])
      await breakFunction(own.directDsn, `pgqrs_${name}`, /order by u\.id\b[^)\n]*/, '')
    expect((await rounds(own, 200)).errors).toContain('40P01')
  })
})

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}
