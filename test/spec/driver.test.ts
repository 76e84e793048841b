// The library on a pool of the program's own, whatever the program has done to it.

import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { Config, Consumer, connect, PgqrsMessages, Producer } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

async function roundTrip(pool: pg.Pool) {
  const name = await it.newQueue()
  const pgqrs = await connect({ pool })
  const { id } = await pgqrs.producer(name).enqueue({ a: [1, 'x'] }, { headers: { h: 1 } })
  const worker = await pgqrs.admin.workers.register(name)
  const consumer = pgqrs.consumer(name, { workerId: worker.id })
  const message = (await consumer.dequeue({ lease: '1h' }))!
  expect(message).toMatchObject({
    id,
    payload: { a: [1, 'x'] },
    headers: { h: 1 },
    priority: 0,
    leasedBy: worker.id,
  })
  const lease = message.leasedUntil!.getTime() - message.dequeuedAt!.getTime()
  expect(Math.abs(lease - 3_600_000)).toBeLessThan(10_000)
  expect(Math.abs(message.enqueuedAt.getTime() - Date.now())).toBeLessThan(60_000)
  expect(await consumer.archive(message)).toBe(true)
  expect(await pgqrs.admin.queueMetrics(name)).toMatchObject({ archivedCount: 1, totalCount: 1 })
  expect((await pgqrs.queue(name).archiveList())[0]).toMatchObject({
    id,
    processingDuration: expect.any(Number),
  })
  await pgqrs.close()
}

describe('a pool of the program', () => {
  test('is used, and stays open when pgqrs is closed', async () => {
    const pool = new pg.Pool({ connectionString: it.dsn })
    await roundTrip(pool)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(pool.idleCount).toBe(pool.totalCount)
    await pool.end()
  })

  test('is enough for a producer and a consumer made by hand', async () => {
    const name = await it.newQueue()
    const pool = new pg.Pool({ connectionString: it.dsn })
    await new Producer(pool, name).enqueue('x')
    expect((await new Consumer(pool, name).dequeue())?.payload).toBe('x')
    await pool.end()
  })

  test('may have parsers of its own for every type', async () => {
    const oids = [16, 20, 21, 23, 25, 114, 701, 1007, 1114, 1184, 1700, 3802]
    const before = oids.map((oid) => [oid, pg.types.getTypeParser(oid)] as const)
    const types = { getTypeParser: () => () => 'parsed by the program' }
    try {
      for (const oid of oids) pg.types.setTypeParser(oid, () => 'parsed by the program')
      const pool = new pg.Pool({ connectionString: it.dsn, types } as pg.PoolConfig)
      await roundTrip(pool)
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 'parsed by the program' }])
      await pool.end()
    } finally {
      for (const [oid, parser] of before) pg.types.setTypeParser(oid, parser as never)
    }
  })

  test.each(['Asia/Kolkata', 'America/St_Johns', 'Pacific/Chatham'])(
    'may be in any time zone: %s',
    async (zone) => {
      const pool = new pg.Pool({ connectionString: it.directDsn, options: `-c timezone=${zone}` })
      await roundTrip(pool)
      await pool.end()
    },
  )

  test.each(['SQL, DMY', 'German', 'Postgres, MDY'])(
    'that writes dates as %s is refused at connect, instead of giving dates that are none',
    async (style) => {
      const options = `-c datestyle=${style.replaceAll(' ', '\\ ')} -c timezone=Europe/Berlin`
      const pool = new pg.Pool({ connectionString: it.directDsn, options })
      await expect(connect({ pool })).rejects.toMatchObject({
        hint: expect.stringContaining('DateStyle'),
      })
      await pool.end()
    },
  )

  test('may meet a time without end, written by plain SQL', async () => {
    const name = await it.newQueue()
    await it.sql(`select pgqrs_enqueue($1, '1', due_at => 'infinity')`, [name])
    const { id } = await it.admin.getQueue(name)
    const [message] = await new PgqrsMessages(it.admin.pool).filterByFk(id)
    expect(message!.dueAt.getTime()).toBe(8.64e15)
  })

  test('of one connection is enough', async () => {
    const pool = new pg.Pool({ connectionString: it.dsn, max: 1 })
    await roundTrip(pool)
    const name = await it.newQueue()
    const pgqrs = await connect({ pool })
    await Promise.all(Array.from({ length: 100 }, (_, n) => pgqrs.producer(name).enqueue(n)))
    expect(await pgqrs.consumer(name).dequeueBatch(100)).toHaveLength(100)
    await pool.end()
  })

  test.each([null, {}, 'postgresql://x/y', new pg.Client()])('that is %s is refused', async (pool) => {
    await expect(connect({ pool: pool as object })).rejects.toMatchObject({
      code: expect.stringMatching(/_INVALID$/),
    })
    expect(() => new Producer(pool, 'q')).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
  })
})

describe('the names of statements', () => {
  const named = async (pool: pg.Pool) => {
    const client = await pool.connect()
    const { rows } = await client.query(
      `select count(*) from pg_prepared_statements where name like 'pgqrs%'`,
    )
    client.release()
    return Number(rows[0].count)
  }
  async function used(dsn: string, preparedStatements?: 'on' | 'off') {
    const config = Config.fromDsn(dsn, {
      maxConnections: 1,
      ...(preparedStatements ? { preparedStatements } : {}),
    })
    const pgqrs = await connect(config)
    await pgqrs.admin.listQueues()
    const count = await named(pgqrs.pool)
    await pgqrs.close()
    return count
  }

  test('are kept by the server on a direct connection', async () => {
    expect(await used(it.directDsn)).toBeGreaterThan(0)
  })

  test('are not used where the configuration says so', async () => {
    expect(await used(it.directDsn, 'off')).toBe(0)
  })

  test.runIf(inject('pooler') !== null)(
    'are not used behind a pooler, which hands a connection to others',
    async () => {
      expect(await used(it.dsn)).toBe(0)
      const pool = new pg.Pool({ connectionString: it.dsn, max: 10 })
      await Promise.all(Array.from({ length: 10 }, () => roundTrip(pool)))
      await pool.end()
    },
  )
})

describe('a connection that is lost', () => {
  test('is an error of its own, and the next call has a new one', async () => {
    const pool = new pg.Pool({ connectionString: it.directDsn, max: 1, application_name: 'to be killed' })
    pool.on('error', () => {})
    const pgqrs = await connect({ pool })
    const sleeping = pool.query('select pg_sleep(60)').catch((error) => error.code)
    await it.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'to be killed'`,
    )
    expect(await sleeping).toBe('57P01')
    expect(await pgqrs.admin.listQueues()).toEqual(expect.any(Array))
    await pool.end()
  })

  test('that cannot be made says so', async () => {
    await expect(connect('postgresql://u:secret@127.0.0.1:1/db')).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      message: expect.not.stringContaining('secret'),
      hint: expect.stringContaining('host, port'),
    })
  })
})
