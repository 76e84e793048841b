// No message, archived row or worker is ever without its queue: whoever writes, and whatever is done at once.

import pg from 'pg'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { Config, connect } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()
const orphans = `
  select 'message' as kind, queue_id from pgqrs_messages m where not exists (select from pgqrs_queues q where q.id = m.queue_id)
  union all
  select 'archived', queue_id from pgqrs_archive a where not exists (select from pgqrs_queues q where q.id = a.queue_id)
  union all
  select 'worker', queue_id from pgqrs_workers w where not exists (select from pgqrs_queues q where q.id = w.queue_id)`

afterEach(async () => {
  expect(await it.sql(orphans)).toEqual([])
})

const inserts = [
  ['pgqrs_messages', "insert into pgqrs_messages (queue_id, payload) values ($1, '1')"],
  [
    'pgqrs_archive',
    "insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload) values (1, $1, now(), now(), '1')",
  ],
  [
    'pgqrs_archive_default',
    "insert into pgqrs_archive_default (id, queue_id, due_at, enqueued_at, archived_at, payload) values (1, $1, now(), now(), '2999-01-01', '1')",
  ],
  ['pgqrs_workers', "insert into pgqrs_workers (queue_id, hostname) values ($1, 'h')"],
] as const

async function filledQueue(fill: string) {
  const name = await it.newQueue()
  const { id } = await it.admin.getQueue(name)
  await it.sql(fill, [id])
  return { name, id }
}

/** A transaction on a session of its own; closed when the test is over, however it ended. */
async function session(begin = 'begin') {
  const client = new pg.Client({ connectionString: it.directDsn })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query(`set lock_timeout = '20s'; ${begin}`)
  return client
}

describe.each(inserts)('plain SQL on %s', (table, insert) => {
  test('may not insert a row of a queue that does not exist', async () => {
    await expect(it.sql(insert, ['8999999999999999999'])).rejects.toMatchObject({ code: '23503' })
    await expect(it.sql(insert, [null])).rejects.toThrow()
  })

  test('may not point a row to another queue that does not exist', async () => {
    const { id } = await filledQueue(insert)
    await expect(
      it.sql(`update ${table} set queue_id = 8999999999999999999 where queue_id = $1`, [id]),
    ).rejects.toMatchObject({ code: '23503' })
    const other = await it.admin.getQueue(await it.newQueue())
    await it.sql(`update ${table} set queue_id = $2 where queue_id = $1`, [id, other.id])
  })

  test('may not delete the queue of a row, nor give it another id', async () => {
    const { id } = await filledQueue(insert)
    await expect(it.sql('delete from pgqrs_queues where id = $1', [id])).rejects.toMatchObject({
      code: '23503',
    })
    await expect(it.sql('update pgqrs_queues set id = 12345678 where id = $1', [id])).rejects.toMatchObject({
      code: '23503',
    })
  })

  test('may not truncate the queues alone', async () => {
    await filledQueue(insert)
    await expect(it.sql('truncate pgqrs_queues')).rejects.toThrow()
    if (table !== 'pgqrs_workers')
      await expect(it.sql('truncate pgqrs_queues cascade')).rejects.toMatchObject({ code: '23503' })
  })

  test('may delete the row and its queue in one transaction', async () => {
    const { id } = await filledQueue(insert)
    const client = await session()
    await client.query(`delete from ${table} where queue_id = $1`, [id])
    await client.query('delete from pgqrs_queues where id = $1', [id])
    await client.query('commit')
  })

  test('may change a queue in other ways', async () => {
    const { id } = await filledQueue(insert)
    await it.sql(`update pgqrs_queues set max_attempts = 7, id = id where id = $1`, [id])
  })
})

describe('an insert that is not committed yet', () => {
  const writers: [
    what: string,
    write: (client: pg.Client, queue: { name: string; id: string }) => Promise<unknown>,
  ][] = [
    ['by enqueue', (tx, { name }) => it.pgqrs.producer(name).enqueue(1, { tx })],
    ['by batchEnqueue', (tx, { name }) => it.pgqrs.producer(name).batchEnqueue([1, 2], { tx })],
    ['by pgqrs_enqueue', (tx, { name }) => tx.query(`select pgqrs_enqueue($1, '1')`, [name])],
    ['by plain SQL', (tx, { id }) => tx.query(inserts[0][1], [id])],
    ['of an archived row by plain SQL', (tx, { id }) => tx.query(inserts[1][1], [id])],
    ['of a worker', (tx, { id }) => tx.query(inserts[3][1], [id])],
  ]
  test.each(writers)('%s holds up the delete of its queue, which is refused then', async (_, write) => {
    const queue = await it.admin.getQueue(await it.newQueue())
    const writer = await session()
    await write(writer, queue)
    const deleter = await session()
    const deleted = deleter.query('delete from pgqrs_queues where id = $1', [queue.id]).then(
      () => 'deleted',
      (error) => error.code,
    )
    await writer.query('commit')
    expect(await deleted).toBe('23503')
    await deleter.query('rollback')
  })

  test.each(writers)('%s finds no queue after a delete that came first', async (_, write) => {
    const queue = await it.admin.getQueue(await it.newQueue())
    const deleter = await session()
    await deleter.query('delete from pgqrs_queues where id = $1', [queue.id])
    const writer = await session()
    const written = write(writer, queue).then(
      () => 'written',
      () => 'refused',
    )
    await deleter.query('commit')
    expect(await written).toBe('refused')
    await writer.query('rollback')
  })

  test.each(writers)(
    '%s in a repeatable read transaction that saw the queue is refused after its delete',
    async (_, write) => {
      const queue = await it.admin.getQueue(await it.newQueue())
      const writer = await session('begin isolation level repeatable read')
      await writer.query('select * from pgqrs_queues')
      await it.sql('delete from pgqrs_queues where id = $1', [queue.id])
      await expect(write(writer, queue)).rejects.toThrow()
      await writer.query('rollback')
    },
  )
})

describe('a transaction with an old snapshot', () => {
  test.each(['repeatable read', 'serializable'])(
    'at %s cannot delete or renumber a queue, since it might not see its messages',
    async (level) => {
      const queue = await it.admin.getQueue(await it.newQueue())
      for (const statement of [
        'delete from pgqrs_queues where id = $1',
        'update pgqrs_queues set id = 7654321 where id = $1',
      ]) {
        const deleter = await session(`begin isolation level ${level}`)
        await deleter.query('select * from pgqrs_queues')
        await it.sql(inserts[0][1], [queue.id])
        await expect(deleter.query(statement, [queue.id])).rejects.toThrow()
        await deleter.query('rollback')
      }
    },
  )

  test.each(['repeatable read', 'serializable'])('at %s cannot truncate the queues either', async (level) => {
    const queue = await it.admin.getQueue(await it.newQueue())
    await it.sql('truncate pgqrs_messages, pgqrs_archive, pgqrs_workers')
    const truncater = await session(`begin isolation level ${level}`)
    await truncater.query('select * from pgqrs_messages')
    await it.sql(inserts[0][1], [queue.id])
    await expect(truncater.query('truncate pgqrs_queues cascade')).rejects.toThrow()
    await truncater.query('rollback')
  })
})

describe('everything at once', () => {
  test('enqueues, settles and deletes of queues from many connections leave nothing without its queue', async () => {
    const instances = await Promise.all(
      [1, 2, 3].map(() => connect(Config.fromDsn(it.dsn, { maxConnections: 3 }))),
    )
    const names = ['race_1', 'race_2']
    const end = Date.now() + 4_000
    const known = new Set(['QUEUE_NOT_FOUND', 'QUEUE_NOT_EMPTY', 'DATABASE_ERROR'])
    const done: Record<string, number> = {}
    const failures: unknown[] = []
    const loop = async (name: string, act: () => Promise<unknown>) => {
      while (Date.now() < end) {
        try {
          await act()
          done[name] = (done[name] ?? 0) + 1
        } catch (error) {
          const { code, cause } = error as { code: string; cause?: { code?: string } }
          // 40001: a repeatable read transaction that came too late.
          if (!known.has(code) || (code === 'DATABASE_ERROR' && cause?.code !== '40001')) failures.push(error)
        }
      }
    }
    const loops = instances.flatMap((pgqrs) =>
      names.flatMap((name) => [
        loop('create', () => pgqrs.admin.createQueue(name)),
        loop('enqueue', () => pgqrs.producer(name).batchEnqueue([1, 2, 3])),
        loop('plain SQL', () =>
          it
            .sql(
              `insert into pgqrs_messages (queue_id, payload) select id, '1' from pgqrs_queues where name = $1`,
              [name],
            )
            .catch((error) => {
              if (error.code !== '23503') throw error
            }),
        ),
        loop('archive', async () => {
          const consumer = pgqrs.consumer(name)
          await consumer.archiveBatch(await consumer.dequeueBatch(5))
        }),
        loop('die and redrive', async () => {
          const consumer = pgqrs.consumer(name)
          const message = await consumer.dequeue()
          if (message) await consumer.fail(message, 'x', { dead: true })
          await pgqrs.admin.deadLetters.redrive(name)
        }),
        loop('delete', () => pgqrs.admin.deleteQueue(name)),
        loop('delete by force', () => pgqrs.admin.deleteQueue(name, { force: true })),
      ]),
    )
    loops.push(
      loop('repeatable read', async () => {
        const client = await instances[0]!.pool.connect()
        try {
          await client.query('begin isolation level repeatable read')
          await client.query('select * from pgqrs_queues')
          await instances[0]!.producer('race_1').enqueue(1, { tx: client })
          await client.query('commit')
        } catch (error) {
          await client.query('rollback')
          throw error
        } finally {
          client.release()
        }
      }),
    )
    await Promise.all(loops)
    expect(failures).toEqual([])
    expect(Object.keys(done).toSorted()).toEqual(
      [
        'archive',
        'create',
        'delete by force',
        'die and redrive',
        'enqueue',
        'plain SQL',
        ...(done.delete ? ['delete'] : []),
        ...(done['repeatable read'] ? ['repeatable read'] : []),
      ].toSorted(),
    )
    expect(await it.sql(orphans)).toEqual([])
    for (const pgqrs of instances) await pgqrs.close()
  })
})
