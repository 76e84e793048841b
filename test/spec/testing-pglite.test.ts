// Test databases in PGlite: one session behind many connections, and its limits. What drain, the clock and the
// assertions promise there is in testing.test.ts.

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { connect, queue } from 'pgqrs'
import { drain, type TestDatabase, testDatabase } from 'pgqrs/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../docs/program.js'
import { eventually } from '../harness/eventually.js'

let database: TestDatabase
let name: string
let queues = 0
beforeAll(async () => {
  database = await testDatabase({ engine: 'pglite' })
})
afterAll(() => database.close())
beforeEach(async () => {
  queues += 1
  name = `queue_${queues}`
  await database.admin.createQueue(name)
})

async function client(dsn = database.dsn): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: dsn })
  made.on('error', () => {})
  onTestFinished(() => made.end())
  await made.connect()
  return made
}

const inPglite = (text: string, env: Record<string, string>) =>
  run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', text], {
    env: { PGQRS_TEST_ENGINE: 'pglite', ...env },
  })

describe('the database', () => {
  test('is whole, says what it is, and connections by its DSN see what is committed', async () => {
    expect(database.engine).toBe('pglite')
    expect((await database.admin.verify()).problems).toEqual([])
    const other = await connect(database.dsn)
    await other.producer(name).enqueue({ to: 'ada' })
    await other.close()
    expect((await database.pgqrs.consumer(name).dequeue())?.payload).toEqual({ to: 'ada' })
  })

  test('is nobody else’s, takes a schema, and is gone after close', async () => {
    const other = await testDatabase({ engine: 'pglite', schema: 'Jobs here' })
    await other.admin.createQueue('in_schema')
    const { rows } = await (await client(other.dsn)).query('select name from "Jobs here".pgqrs_queues')
    expect(rows).toEqual([{ name: 'in_schema' }])
    expect((await database.admin.listQueues()).map((one) => one.name)).not.toContain('in_schema')
    await Promise.all([other.close(), other.close()])
    await expect(client(other.dsn)).rejects.toThrow(/ECONNREFUSED/)
  })

  test('is the one that PGQRS_TEST_ENGINE asks for; the prepared one is kept, and made anew when it is broken', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgqrs-spec-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const program = `
      import { testDatabase } from 'pgqrs/testing'
      const { engine, admin, close } = await testDatabase()
      console.log(engine, (await admin.listQueues()).length)
      await close()`
    const prepared = () => readdirSync(folder).filter((file) => file.startsWith('pgqrs-'))
    expect((await inPglite(program, { TMPDIR: folder })).lines).toEqual(['pglite 0'])
    expect(prepared()).toEqual([expect.stringMatching(/^pgqrs-prepared-pglite-.*\.tar$/)])
    const kept = join(folder, prepared()[0]!)
    writeFileSync(kept, 'broken')
    expect((await inPglite(program, { TMPDIR: folder })).lines.at(-1)).toBe('pglite 0')
    const made = statSync(kept).mtimeMs
    // To prepare it takes ten times as long as to copy it.
    expect((await inPglite(program, { TMPDIR: folder })).lines).toEqual(['pglite 0'])
    expect(statSync(kept).mtimeMs).toBe(made)
  }, 180_000)

  test('a process that forgets to close it ends all the same', async () => {
    const program = `
      import { testDatabase } from 'pgqrs/testing'
      const { pgqrs } = await testDatabase()
      await pgqrs.admin.createQueue('a')
      console.log('made')`
    expect(await inPglite(program, {})).toMatchObject({ code: 0, lines: ['made'] })
  })

  test('refuses what contradicts itself, an engine that it does not know, and a wrong password', async () => {
    const both = testDatabase({ engine: 'pglite', dsn: 'postgresql://localhost' })
    await expect(both).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    const unknown = testDatabase({ engine: 'sqlite' as never })
    await expect(unknown).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    const wrong = new URL(database.dsn)
    wrong.password = 'wrong'
    await expect(connect(wrong.href)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  })
})

describe('the main path', () => {
  test('{ tx }: the message is there with the commit, and never was with a rollback', async () => {
    const tx = await client()
    const producer = database.pgqrs.producer(name)
    for (const end of ['rollback', 'commit']) {
      await tx.query('begin')
      await producer.enqueue({ end }, { tx })
      await tx.query(end)
    }
    const consumer = database.pgqrs.consumer(name)
    const message = (await consumer.dequeue())!
    expect(message.payload).toEqual({ end: 'commit' })
    await tx.query('begin')
    expect(await consumer.archive(message, { tx })).toBe(true)
    await tx.query('rollback')
    expect(await consumer.archive(message)).toBe(true)
    expect(await consumer.dequeue()).toBeNull()
  })

  test('a worker hears of a message by LISTEN, runs several handlers, and settles in their transactions', async () => {
    const { pgqrs } = database
    const sent = await client()
    await sent.query('create table if not exists sent (n integer)')
    const emails = queue<{ n: number }>(name)
    const worker = pgqrs.worker(
      emails,
      ({ payload }, { tx }) => tx((inside) => inside.query('insert into sent values ($1)', [payload.n])),
      { pollInterval: '1h', keepResult: false },
    )
    onTestFinished(() => worker.stop())
    await worker.idle()
    const producer = pgqrs.producer(emails)
    // Until it listens, it may miss the news.
    await eventually(
      async () => {
        await producer.enqueue({ n: 0 })
        return worker.counters.succeeded > 0
      },
      { what: 'the worker was woken' },
    )
    await producer.batchEnqueue(Array.from({ length: 50 }, (_, i) => ({ n: i + 1 })))
    await eventually(async () => (await sent.query('select from sent where n > 0')).rowCount === 50, {
      what: 'all have run',
    })
    await worker.stop()
    expect(worker.counters).toMatchObject({ failed: 0, lost: 0 })
  })

  test('a lease that ran out is somebody else’s, and its late settle is refused', async () => {
    const { pgqrs, clock } = database
    await pgqrs.producer(name).enqueue({})
    const first = (await pgqrs.consumer(name).dequeue({ lease: '30s' }))!
    await clock.advance('30s')
    expect((await pgqrs.consumer(name, {}).dequeue())?.attempt).toBe(2)
    expect(await pgqrs.consumer(name).archive(first)).toBe(false)
  })
})

describe('connections share one session', () => {
  test('a transaction is its own: statements of others come before it or after it', async () => {
    const pool = new pg.Pool({ connectionString: database.dsn, max: 8 })
    onTestFinished(() => pool.end())
    await pool.query('create table counted (n integer)')
    await pool.query('insert into counted values (0)')
    const ends = Array.from({ length: 24 }, (_, i) => (i % 3 === 0 ? 'rollback' : 'commit'))
    const add = async (end: string) => {
      const tx = await pool.connect()
      await tx.query('begin')
      const { rows } = await tx.query('select n from counted')
      await tx.query('update counted set n = $1', [rows[0].n + 1])
      await tx.query(end)
      tx.release()
    }
    await Promise.all(ends.map(add))
    expect((await pool.query('select n from counted')).rows).toEqual([{ n: 16 }])
  })

  test('the transaction of a connection that is gone is rolled back', async () => {
    const gone = await client()
    await gone.query('begin')
    await gone.query('create table never_made ()')
    ;(gone as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    const { rows } = await (await client()).query(`select to_regclass('never_made') as there`)
    expect(rows).toEqual([{ there: null }])
  })

  test('notifications reach those that listen, and nobody else', async () => {
    const heard: string[] = []
    const listening = async (who: string) => {
      const one = await client()
      one.on('notification', ({ channel, payload }) => heard.push(`${who}: ${channel} ${payload}`))
      return one
    }
    const [a, b, other] = await Promise.all(['a', 'b', 'other'].map(listening))
    await a!.query('listen "My news"')
    await b!.query('LISTEN News; listen "My news"')
    await other!.query(`select pg_notify('My news', '1'), pg_notify('news', '2')`)
    await eventually(() => heard.length === 3, { what: 'all are heard' })
    await b!.query('unlisten *')
    await other!.query(`select pg_notify('My news', '3'), pg_notify('news', '4')`)
    await eventually(() => heard.length === 4, { what: 'the last is heard' })
    await b!.query('select')
    expect(heard.toSorted()).toEqual(['a: My news 1', 'a: My news 3', 'b: My news 1', 'b: news 2'])
  })

  test('whoever waits for its turn while its own transaction waits for it is told so', async () => {
    const tx = await client()
    await tx.query('begin')
    const beside = database.pgqrs.producer(name).enqueue({})
    await expect(beside).rejects.toMatchObject({
      code: 'DATABASE_TIMEOUT',
      message: expect.stringContaining('one session'),
      hint: expect.stringContaining('{ tx }'),
    })
    await tx.query('commit')
    await database.pgqrs.producer(name).enqueue({})
  })

  test('so is a handler whose transaction waits for an enqueue beside it', async () => {
    const { pgqrs } = database
    const producer = pgqrs.producer(name)
    await producer.enqueue({ n: 1 })
    const failed = await drain(pgqrs, name, (_, { tx }) => tx(() => producer.enqueue({ n: 2 })))
    expect(failed).toMatchObject({ succeeded: 0, retried: 1 })
    expect(failed.outcomes[0]?.error).toMatchObject({ code: 'DATABASE_TIMEOUT' })
    await database.clock.advance('1d')
    const ran = await drain(pgqrs, name, ({ payload }, { tx }) =>
      tx(async (inside) => {
        if ((payload as { n: number }).n === 1) await producer.enqueue({ n: 2 }, { tx: inside })
      }),
    )
    expect(ran).toMatchObject({ succeeded: 2, errors: [] })
  })

  test('COPY FROM STDIN, which would end the process, is refused', async () => {
    const one = await client()
    await one.query('create table copied (n integer)')
    await one.query('begin')
    const copy = one.query('copy copied (n) from stdin')
    await expect(copy).rejects.toMatchObject({ code: '0A000', hint: expect.stringContaining('real server') })
    // Its transaction has failed, as with every error.
    await expect(one.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await one.query('rollback')
    expect((await one.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})
