// A call of a program on a connection whose other end has vanished: it is given up in time, says so, and its
// connection is used no more.

import pg from 'pg'
import { Config, Consumer, connect, PgqrsError, Producer } from 'pgqrs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { Network } from '../harness/network.js'
import { ownQueue } from '../harness/own-queue.js'

const seconds = 0.5
/** Loosely: other tests have the processors, too. */
const late = 10_000

const notAnswered = expect.objectContaining({
  code: 'DATABASE_UNAVAILABLE',
  message: expect.stringContaining('not answered in time'),
  hint: expect.stringContaining('callTimeoutSeconds'),
})

describe.each(['a pool of pgqrs', 'a pool of the program’s own'])(
  'behind a network that swallows, with %s',
  (pools) => {
    test('enqueue, dequeue, settle and look are given up in time, and work again when it is back', async () => {
      const own = await ownQueue()
      const network = await Network.start(own.directDsn)
      const config = Config.fromDsn(network.dsnOf(own.directDsn), {
        callTimeoutSeconds: seconds,
        connectionTimeoutSeconds: 1,
      })
      let pgqrs = await connect(config)
      if (pools !== 'a pool of pgqrs') {
        const pool = new pg.Pool({ connectionString: network.dsnOf(own.directDsn), max: 2 })
        pool.on('error', () => {})
        await pgqrs.close()
        pgqrs = await connect({ pool, config })
        onTestFinished(() => pool.end())
      }
      onTestFinished(() => pgqrs.close())
      const producer = pgqrs.producer(own.queue)
      const consumer = pgqrs.consumer(own.queue)
      await producer.enqueue({})
      const message = (await consumer.dequeue({ lease: '1h' }))!
      const calls = {
        enqueue: () => producer.enqueue({}),
        dequeue: () => consumer.dequeue(),
        archive: () => consumer.archive(message),
        look: () => pgqrs.admin.listQueues(),
      }
      for (const [name, call] of Object.entries(calls)) {
        network.become('swallow')
        const begun = performance.now()
        await expect(call(), name).rejects.toSatisfy((error) => PgqrsError.is(error, 'DATABASE_UNAVAILABLE'))
        expect(performance.now() - begun, name).toBeLessThan(late)
        network.become('pass')
        // Each connection that met it is dead, also what said beside the call that there is news: each is found out once.
        await eventually(async () => expect(await pgqrs.admin.listQueues().catch(() => null)).not.toBeNull())
      }
    })
  },
)

test('a call that waits for a lock is given up too, and says what to do; with { tx } it waits', async () => {
  const own = await ownQueue()
  const config = Config.fromDsn(own.directDsn, { callTimeoutSeconds: seconds })
  const pgqrs = await connect(config)
  onTestFinished(() => pgqrs.close())
  const { id } = await pgqrs.producer(own.queue).enqueue({})
  const consumer = new Consumer(pgqrs.pool, own.queue)
  const message = (await consumer.dequeue({ lease: '1h' }))!
  const [holder, tx] = [await own.pgqrs.pool.connect(), await own.pgqrs.pool.connect()]
  await holder.query('begin')
  await holder.query('select from pgqrs_messages where id = $1 for update', [id])
  await expect(consumer.archive(message)).rejects.toEqual(notAnswered)
  await tx.query('begin')
  const inTx = consumer.delete(message, { tx })
  const late = new Promise((resolve) => setTimeout(() => resolve('waits'), seconds * 2_000))
  expect(await Promise.race([inTx, late])).toBe('waits')
  await holder.query('rollback')
  // Of the call that was given up and this one the server lets one through.
  expect(await inTx).toEqual(expect.any(Boolean))
  await tx.query('commit')
  for (const client of [holder, tx]) client.release()
})

test('a producer on a bare pool has a limit, too', async () => {
  const own = await ownQueue()
  const network = await Network.start(own.directDsn)
  const pool = new pg.Pool({ connectionString: network.dsnOf(own.directDsn) })
  pool.on('error', () => {})
  onTestFinished(() => pool.end())
  const config = { callTimeoutSeconds: seconds }
  const producer = new Producer(pool, own.queue, config)
  await producer.enqueue({})
  network.become('swallow')
  await expect(producer.enqueue({})).rejects.toEqual(notAnswered)
})
