// Several installations in one database, each in a schema of its own, whatever that schema is called.

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Config, Consumer, connect, PgqrsMessages, Producer } from '../../src/index.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'

let database: TestDatabase
let outside: pg.Client

beforeAll(async () => {
  database = await freshDatabase()
  outside = new pg.Client({ connectionString: database.directDsn })
  await outside.connect()
})
afterAll(() => outside.end())

async function installed(schema: string) {
  const pgqrs = await connect(Config.fromDsnWithSchema(database.dsn, schema))
  await pgqrs.admin.install({ createSchema: true })
  return pgqrs
}

describe('a schema', () => {
  test('has its own queues and messages: two in one database do not see each other', async () => {
    await using one = await installed('one')
    await using other = await installed('other')
    for (const pgqrs of [one, other]) await pgqrs.admin.createQueue('same_name')
    await one.producer('same_name').enqueue('for one')
    expect(await other.consumer('same_name').dequeue()).toBeNull()
    await other.admin.deleteQueue('same_name')
    expect(await other.admin.listQueues()).toEqual([])
    expect((await one.consumer('same_name').dequeue())?.payload).toBe('for one')
  })

  const names = [
    'two words',
    'CamelCase',
    'quote"inside',
    "it's",
    'select',
    'schéma-日本-🐘',
    'back\\slash',
    'per%cent %s %I',
    ':schema',
    `:"schema"`,
    `:'schema'`,
    '{}[]();--',
    ' ',
    'x'.repeat(63),
  ]
  test.each(names)('may be called %s', async (schema) => {
    await using pgqrs = await installed(schema)
    const { admin } = pgqrs
    await admin.verify()
    await admin.createQueue('q', { maxAttempts: 1 })
    await expect(pgqrs.consumer('nowhere').dequeue()).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
    const consumer = pgqrs.consumer('q')
    await pgqrs.producer('q').batchEnqueue([{ type: 'a' }, { type: 'b' }, { type: 'c' }])
    expect(await consumer.archive((await consumer.dequeue({ type: 'b' }))!)).toBe(true)
    expect(await consumer.fail((await consumer.dequeue())!, 'x')).toBe('dead')
    expect(await consumer.delete((await consumer.dequeue())!)).toBe(true)
    expect(await admin.deadLetters.redrive('q')).toHaveLength(1)
    expect(await consumer.release((await consumer.dequeue())!, { delay: '1h' })).toBe(true)
    const worker = await admin.workers.register('q')
    expect(await admin.workers.release(worker.id, { force: true })).toBe(0)
    expect(await admin.queueMetrics('q')).toMatchObject({ delayedCount: 1, archivedCount: 1, deadCount: 0 })
    const quoted = `"${schema.replaceAll('"', '""')}"`
    await outside.query(`select ${quoted}.pgqrs_enqueue('q', '1')`)
    await expect(
      outside.query(`insert into ${quoted}.pgqrs_messages (queue_id, payload) values (99, '1')`),
    ).rejects.toThrow(/no queue with id 99/)
    await expect(outside.query(`delete from ${quoted}.pgqrs_queues`)).rejects.toThrow()
    expect(await admin.purgeQueue('q')).toBe(2)
    await admin.deleteQueue('q', { force: true })
    expect(await admin.uninstall()).toBe(true)
  })

  test.each(['', 'x'.repeat(64), 'é'.repeat(32), 'pg_temp', 'a\u0000b', 'a$b', 'a\nb', 7, null])(
    'may not be called %s',
    (schema) => {
      expect(() => Config.fromDsnWithSchema(database.dsn, schema as string)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/^schema: /) }),
      )
    },
  )

  test('does not depend on the search_path of the connection', async () => {
    await using pgqrs = await installed('somewhere')
    await pgqrs.admin.createQueue('q')
    const client = await pgqrs.pool.connect()
    await client.query('begin')
    await client.query('set local search_path = pg_temp')
    await pgqrs.producer('q').enqueue(1, { tx: client })
    const message = await pgqrs.consumer('q').dequeue({ tx: client })
    expect(await pgqrs.consumer('q').archive(message!, { tx: client })).toBe(true)
    await client.query('commit')
    client.release()
  })

  test('comes along with the pool: what is made from it needs no configuration', async () => {
    await using pgqrs = await installed('along')
    await pgqrs.admin.createQueue('q')
    await new Producer(pgqrs.pool, 'q').enqueue('x')
    expect((await new Consumer(pgqrs.pool, 'q').dequeue())?.payload).toBe('x')
    expect(await new PgqrsMessages(pgqrs.pool).count()).toBe(1)
  })

  test('of a pool of the program is chosen at connect; two may share one pool', async () => {
    const pool = new pg.Pool({ connectionString: database.dsn })
    const made = await Promise.all(['first', 'second'].map((schema) => connect({ pool, schema })))
    for (const pgqrs of made) {
      await pgqrs.admin.install({ createSchema: true })
      await pgqrs.admin.createQueue('q')
      await pgqrs.producer('q').enqueue(pgqrs.config.schema)
    }
    for (const pgqrs of made) {
      expect((await pgqrs.consumer('q').dequeue())?.payload).toBe(pgqrs.config.schema)
      await pgqrs.close()
    }
    await pool.end()
  })
})
