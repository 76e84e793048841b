// pgqrs/testing: what it promises to the tests of programs that use pgqrs.

import { AssertionError } from 'node:assert'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { DeadLetter, type Handler, type PgqrsError, queue, RetryAfter } from 'pgqrs'
import {
  clockOf,
  drain,
  type Engine,
  enqueued,
  expectEnqueued,
  type TestDatabase,
  testDatabase,
  testServer,
} from 'pgqrs/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { run } from '../docs/program.js'
import { eventually } from '../harness/eventually.js'

interface Email {
  to: string
  template?: string
}

let database: TestDatabase
let name: string
let queues = 0
/** What is promised holds with a real server and with PGlite. */
const engines = ['postgres', 'pglite'] as const
function databaseIn(engine: Engine) {
  beforeAll(async () => {
    const options = engine === 'postgres' ? { dsn: inject('directDsn') } : { engine }
    database = await testDatabase(options)
  })
  afterAll(() => database.close())
}
beforeEach(async () => {
  queues += 1
  name = `emails_${queues}`
  await database.admin.createQueue(name, { maxAttempts: 2 })
})

const producer = () => database.pgqrs.producer(queue<Email>(name))
const drained = (handler: Handler<Email>, options = {}) =>
  drain(database.pgqrs, queue<Email>(name), handler, options)

async function ask<Row = Record<string, unknown>>(text: string, dsn = database.dsn): Promise<Row[]> {
  const client = new pg.Client({ connectionString: dsn })
  await client.connect()
  try {
    return (await client.query(text)).rows as Row[]
  } finally {
    await client.end()
  }
}

const databaseOf = (dsn: string) => new URL(dsn).pathname.slice(1)

async function databases(): Promise<string[]> {
  const rows = await ask<{ datname: string }>(`select datname from pg_database`, inject('directDsn'))
  return rows.map(({ datname }) => datname)
}

async function ms(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

describe('a test database', () => {
  databaseIn('postgres')

  test('has pgqrs installed, nothing in it, and is nobody else’s', async () => {
    await using other = await testDatabase({ dsn: inject('directDsn') })
    expect(other.dsn).not.toBe(database.dsn)
    await expect(other.admin.verify()).resolves.toMatchObject({ version: expect.any(Number) })
    expect(await other.admin.listQueues()).toEqual([])
  })

  test('is gone after close, and close twice is close once', async () => {
    const other = await testDatabase({ dsn: inject('directDsn') })
    expect(await databases()).toContain(databaseOf(other.dsn))
    await Promise.all([other.close(), other.close()])
    expect(await databases()).not.toContain(databaseOf(other.dsn))
  })

  test('takes a schema, and further configuration', async () => {
    const dsn = inject('directDsn')
    await using other = await testDatabase({ dsn, schema: 'Jobs here', defaultMaxBatchSize: 7 })
    await other.admin.createQueue('in_schema')
    expect(await ask(`select name from "Jobs here".pgqrs_queues`, other.dsn)).toEqual([{ name: 'in_schema' }])
    expect(other.pgqrs.config.defaultMaxBatchSize).toBe(7)
  })

  test('several are made at once', async () => {
    const dsn = inject('directDsn')
    const made = await Promise.all([1, 2, 3, 4].map(() => testDatabase({ dsn })))
    expect(new Set(made.map((one) => one.dsn)).size).toBe(4)
    await Promise.all(made.map((one) => one.close()))
  })

  test('one that a killed process left behind is dropped by the next; one in use is not', async () => {
    const program = `
      import { testDatabase } from 'pgqrs/testing'
      const { dsn } = await testDatabase()
      console.log(dsn)
      process.kill(process.pid, 'SIGKILL')`
    const { lines } = await runProgram(program, { PGQRS_TEST_DSN: inject('directDsn') })
    const left = databaseOf(lines[0]!)
    expect(left).toMatch(/^pgqrs_test_/)
    await eventually(
      async () => {
        await using _ = await testDatabase({ dsn: inject('directDsn') })
        return !(await databases()).includes(left)
      },
      { what: 'the database that was left is dropped' },
    )
    expect(await databases()).toContain(databaseOf(database.dsn))
  })

  test('says what is wrong with an option, and with a server that is not there', async () => {
    await expect(testDatabase({ databse: 'x' } as never)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    const nowhere = testDatabase({ dsn: 'postgresql://nobody@127.0.0.1:1/postgres' })
    await expect(nowhere).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
  })

  test('a role that may not create databases is told so', async () => {
    await ask(`drop role if exists humble; create role humble login password 'humble'`)
    const dsn = new URL(inject('directDsn'))
    dsn.username = 'humble'
    dsn.password = 'humble'
    const error: PgqrsError = await testDatabase({ dsn: dsn.href }).catch((reason) => reason)
    expect(error.hint).toContain('createdb')
    await ask(`drop role humble`)
  })
})

describe('without a server of one’s own', () => {
  databaseIn('postgres')

  test('one is started in well under a second, shared, and ends with the last database', async () => {
    // Prepares the data folder, where that is not done yet.
    await (await testServer({ dsn: undefined })).close()

    let first: TestDatabase | undefined
    const start = await ms(async () => {
      first = await testDatabase()
    })
    let second: TestDatabase | undefined
    const copy = await ms(async () => {
      second = await testDatabase()
    })
    const { port } = new URL(first!.dsn)
    expect(new URL(second!.dsn).port).toBe(port)
    await first!.close()
    expect(await second!.admin.listQueues()).toEqual([])
    const [row] = await ask<{ data_directory: string }>('show data_directory', second!.dsn)
    expect(existsSync(row!.data_directory)).toBe(true)
    await second!.close()
    expect(existsSync(row!.data_directory)).toBe(false)
    await expect(ask('select', second!.dsn)).rejects.toThrow(/ECONNREFUSED/)
    // Loosely: it takes a third and a tenth of this.
    expect(start).toBeLessThan(1_000)
    expect(copy).toBeLessThan(1_000)
  })

  test('a process that forgets to close ends all the same, and leaves no server and no folder', async () => {
    const program = `
      import pg from 'pg'
      import { testDatabase } from 'pgqrs/testing'
      const { dsn, pgqrs } = await testDatabase()
      const client = new pg.Client({ connectionString: dsn })
      await client.connect()
      console.log((await client.query('show data_directory')).rows[0].data_directory)
      console.log(dsn)
      process.exit(0)`
    const { lines, code } = await runProgram(program, { PGQRS_TEST_DSN: '' })
    expect(code).toBe(0)
    const [folder = '', dsn = ''] = lines
    await eventually(
      () =>
        ask('select', dsn).then(
          () => false,
          () => true,
        ),
      { what: 'the server has ended' },
    )
    expect(folder).toContain(tmpdir())
    expect(existsSync(folder)).toBe(false)
  })

  test('a prepared folder of which files are missing is made anew', async () => {
    const program = `
      import { readdirSync, rmSync } from 'node:fs'
      import { tmpdir } from 'node:os'
      import { join } from 'node:path'
      import { testDatabase } from 'pgqrs/testing'
      await (await testDatabase()).close()
      const [prepared] = readdirSync(tmpdir()).filter((file) => file.startsWith('pgqrs-prepared-'))
      rmSync(join(tmpdir(), prepared, 'data', 'global', 'pg_control'))
      const database = await testDatabase()
      console.log((await database.admin.listQueues()).length)
      await database.close()
      console.log(readdirSync(tmpdir()).filter((file) => file.startsWith('pgqrs-')).join())`
    const folder = mkdtempSync(join(tmpdir(), 'pgqrs-spec-'))
    chmodSync(folder, 0o755)
    try {
      const { lines } = await runProgram(program, { PGQRS_TEST_DSN: '', TMPDIR: folder })
      expect(lines[0]).toBe('0')
      expect(lines[1]).toMatch(/^pgqrs-prepared-[^,]*$/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe.each(engines)('drain, in %s', (engine) => {
  databaseIn(engine)

  test('runs handlers until nothing is ready, in the order of delivery, and says what became of each', async () => {
    await producer().enqueue({ to: 'second' })
    await producer().enqueue({ to: 'first' }, { priority: -1 })
    await producer().enqueue({ to: 'later' }, { delay: '1h' })
    const ran: string[] = []
    const { outcomes, ...counts } = await drained(async ({ payload }) => {
      ran.push(payload.to)
      return payload.to.length
    })
    expect(ran).toEqual(['first', 'second'])
    expect(counts).toEqual({ succeeded: 2, retried: 0, dead: 0, lost: 0, errors: [] })
    expect(outcomes.map(({ outcome, result }) => [outcome, result])).toEqual([
      ['succeeded', 5],
      ['succeeded', 6],
    ])
    expect(outcomes[0]?.message.payload.to).toBe('first')
    expect((await enqueued(database.pgqrs, name)).map(({ payload }) => payload)).toEqual([{ to: 'later' }])
  })

  test('of an empty queue ends at once', async () => {
    expect((await drained(() => {})).outcomes).toEqual([])
  })

  test('runs what handlers enqueue meanwhile, in other queues that it serves too', async () => {
    const other = `${name}_other`
    await database.admin.createQueue(other)
    await producer().enqueue({ to: 'a' })
    const { pgqrs } = database
    const both = await drain(pgqrs, [
      { queue: queue<Email>(name), handler: ({ payload }) => pgqrs.producer(other).enqueue(payload.to) },
      { queue: other, handler: () => {} },
    ])
    expect(both.outcomes.map((one) => one.queue)).toEqual([name, other])
  })

  test('keeps what handlers throw: retried, dead for good, dead by their own word', async () => {
    await producer().enqueue({ to: 'retry' })
    await producer().enqueue({ to: 'last' }, { maxAttempts: 1 })
    await producer().enqueue({ to: 'refuse' })
    const { outcomes } = await drained(
      ({ payload }) => {
        if (payload.to === 'refuse') throw new DeadLetter('no')
        throw new Error(payload.to)
      },
      { backoff: '1m' },
    )
    expect(outcomes.map(({ outcome, error, delayMs }) => [outcome, String(error), delayMs])).toEqual([
      ['retried', 'Error: retry', 60_000],
      ['dead', 'Error: last', undefined],
      ['dead', 'DeadLetter: no', undefined],
    ])
  })

  test('what is to be tried again at once is', async () => {
    await producer().enqueue({ to: 'a' })
    const { outcomes } = await drained((_, { attempt }) => {
      if (attempt === 1) throw new RetryAfter(0)
    })
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['retried', 'succeeded'])
  })

  test('throwOnError rejects with the handler’s own error, or with all of them', async () => {
    await producer().enqueue({ to: 'a' })
    const mistake = new TypeError('mine')
    const fail = () => Promise.reject(mistake)
    await expect(drained(fail, { throwOnError: true })).rejects.toBe(mistake)
    await producer().batchEnqueue([{ to: 'b' }, { to: 'c' }])
    await expect(drained(fail, { throwOnError: true })).rejects.toMatchObject({ errors: [mistake, mistake] })
  })

  test('a handler’s transaction and its settle are one', async () => {
    await producer().enqueue({ to: 'a' })
    await ask(`create table if not exists sent (who text)`)
    const { succeeded } = await drained(({ payload }, { tx }) =>
      tx((client) => client.query('insert into sent values ($1)', [payload.to])),
    )
    expect(succeeded).toBe(1)
    expect(await ask('select who from sent')).toEqual([{ who: 'a' }])
  })

  test('gives batches to a handler of batches', async () => {
    await producer().batchEnqueue([{ to: 'a' }, { to: 'b' }])
    const sizes: number[] = []
    const handler = (messages: readonly unknown[]) => {
      sizes.push(messages.length)
      return ['done', new Error('not this one')]
    }
    const { outcomes } = await drain(database.pgqrs, [{ queue: name, handler, batch: { size: 10 } }])
    expect(sizes).toEqual([2])
    expect(outcomes.map(({ outcome, result }) => [outcome, result]).sort()).toEqual([
      ['retried', undefined],
      ['succeeded', 'done'],
    ])
  })

  test('does not wait for what others hold, nor for a paused queue', async () => {
    const { pgqrs, admin } = database
    await producer().enqueue({ to: 'held' })
    await pgqrs.consumer(name).dequeue({ lease: '1h' })
    expect((await drained(() => {})).outcomes).toEqual([])
    await producer().enqueue({ to: 'paused' })
    await admin.pauseQueue(name)
    expect((await drained(() => {})).outcomes).toEqual([])
    await admin.resumeQueue(name)
    expect((await drained(() => {})).succeeded).toBe(1)
  })

  test('leaves no registered worker', async () => {
    await producer().enqueue({ to: 'a' })
    await drained(() => {})
    expect(await database.admin.workers.list({ queue: name })).toEqual([])
  })

  test('refuses a queue that is not there, an unknown option, and handlers that never end', async () => {
    const { pgqrs } = database
    await expect(drain(pgqrs, 'nowhere', () => {})).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
    await expect(drained(() => {}, { throwOnErrors: true })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await producer().enqueue({ to: 'again' })
    const endless = drained(({ payload }) => producer().enqueue(payload), { limit: 20 })
    await expect(endless).rejects.toThrow(/more than 20 times/)
  })
})

describe.each(engines)('the clock, in %s', (engine) => {
  databaseIn(engine)

  test('makes delays and retries come due, and not a moment before', async () => {
    const { clock } = database
    await producer().enqueue({ to: 'delayed' }, { delay: '10m' })
    await clock.advance('9m')
    expect((await drained(() => {})).outcomes).toEqual([])
    await clock.advance('1m')
    const failed = await drained(() => Promise.reject(new Error('no')), { backoff: '1h' })
    expect(failed.retried).toBe(1)
    await clock.advance('1h')
    expect((await drained(() => {})).outcomes[0]?.message.attempt).toBe(2)
  })

  test('lets leases run out', async () => {
    const { pgqrs, clock } = database
    await producer().enqueue({ to: 'a' })
    const first = pgqrs.consumer(name)
    const message = await first.dequeue({ lease: '30s' })
    expect(await pgqrs.consumer(name, {}).dequeue()).toBeNull()
    await clock.advance('30s')
    expect((await pgqrs.consumer(name, {}).dequeue())?.attempt).toBe(2)
    expect(await first.archive(message!)).toBe(false)
  })

  test('moves every time that is stored, by the same', async () => {
    const { pgqrs, admin, clock } = database
    const id = (await admin.getQueue(name)).id
    const consumer = pgqrs.consumer(name)
    await producer().batchEnqueue([{ to: 'archived' }, { to: 'held' }, { to: 'ready' }])
    await consumer.archive((await consumer.dequeue())!)
    await consumer.dequeue()
    await admin.workers.stop((await admin.workers.register(name)).id)
    await ask(`update pgqrs_workers set stopped_at = clock_timestamp() where queue_id = ${id}`)
    await admin.pauseQueue(name)
    // Each column of a time in the four tables, but for when migrations were applied.
    const columns = await ask<{ table_name: string; column_name: string }>(
      `select table_name, column_name from information_schema.columns
       where data_type like 'timestamp%' and table_name in
         ('pgqrs_messages', 'pgqrs_archive', 'pgqrs_workers', 'pgqrs_queues') order by 1, 2`,
    )
    expect(columns.length).toBeGreaterThan(10)
    const times = async () => {
      const all = columns.map(
        ({ table_name, column_name }) =>
          `select '${table_name}.${column_name}' as what, extract(epoch from max(${column_name})) as at
           from ${table_name} where ${table_name === 'pgqrs_queues' ? 'id' : 'queue_id'} = ${id}`,
      )
      const rows = await ask<{ what: string; at: string }>(all.join(' union all '))
      return new Map(rows.map(({ what, at }) => [what, Number(at)]))
    }
    const before = await times()
    await clock.advance('1d')
    const after = await times()
    const moved = [...before].map(([what, at]) => [what, Math.round(at - after.get(what)!)])
    expect(moved).toEqual([...before.keys()].map((what) => [what, 86_400]))
    await admin.resumeQueue(name)
  })

  test('wakes a worker that waits', async () => {
    const { pgqrs } = database
    await producer().enqueue({ to: 'a' }, { delay: '1h' })
    const ran: unknown[] = []
    await using worker = pgqrs.worker(name, ({ payload }) => ran.push(payload), { pollInterval: '1h' })
    await worker.ready()
    await eventually(
      async () => {
        // Until it listens, it may miss the news.
        await clockOf(pgqrs).advance('1h')
        return ran.length > 0
      },
      { what: 'the message ran' },
    )
  })

  test('refuses what is no duration', async () => {
    await expect(database.clock.advance('soon' as never)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe.each(engines)('what was enqueued, in %s', (engine) => {
  databaseIn(engine)

  test('is listed in the order of the enqueues, with payload, priority, delay, headers and attempt', async () => {
    await producer().enqueue({ to: 'a' }, { delay: '5m', headers: { tenant: 'acme' } })
    await producer().enqueue({ to: 'b' }, { priority: -3 })
    await database.pgqrs.consumer(name).dequeue()
    const [a, b, ...more] = await enqueued(database.pgqrs, queue<Email>(name))
    expect(a).toMatchObject({
      payload: { to: 'a' },
      headers: { tenant: 'acme' },
      delayMs: 300_000,
      attempt: 0,
    })
    expect(a!.dueAt.getTime() - a!.enqueuedAt.getTime()).toBe(300_000)
    expect(b).toMatchObject({ payload: { to: 'b' }, priority: -3, delayMs: 0, attempt: 1 })
    expect(more).toEqual([])
    await expect(enqueued(database.pgqrs, 'nowhere')).rejects.toMatchObject({ code: 'QUEUE_NOT_FOUND' })
  })

  const expects = (payload: unknown, options = {}) =>
    expectEnqueued(database.pgqrs, queue<Email>(name), payload, options)

  test('is asserted by a part of the payload, which gives the messages', async () => {
    await producer().enqueue({ to: 'ada@example.com', template: 'welcome' })
    const [message, ...more] = await expects({ to: 'ada@example.com' })
    expect(message?.payload.template).toBe('welcome')
    expect(more).toEqual([])
    await expects({ to: /@example\.com$/, template: expect.stringContaining('wel') })
    await expects({ template: 'goodbye' }, { times: 0 })
    await expects({ priority: undefined })
    for (const wrong of [{ to: 'ada' }, { to: { name: 'ada' } }, ['ada'], 'ada', null, { cc: null }])
      await expect(expects(wrong), String(wrong)).rejects.toThrow(AssertionError)
  })

  test('nested objects match in part, arrays as a whole', async () => {
    const payload = { user: { name: 'ada', tags: ['a', { b: 1, c: 2 }] }, at: '2031-01-31T12:00:00.000Z' }
    await database.pgqrs.producer(name).enqueue(payload)
    await expects({ user: { tags: ['a', { b: 1 }] } })
    await expects({ at: new Date('2031-01-31T12:00:00Z') })
    await expect(expects({ user: { tags: ['a'] } })).rejects.toThrow(AssertionError)
    await expect(expects({ at: new Date(0) })).rejects.toThrow(AssertionError)
  })

  test('times, delay, priority and headers count', async () => {
    await producer().batchEnqueue([{ to: 'a' }, { to: 'a' }], {
      delay: '5m',
      priority: 2,
      headers: { h: 1, i: 2 },
    })
    await expects({ to: 'a' }, { times: 2, delay: '5m', priority: 2, headers: { h: 1 } })
    const wrong = [
      { times: 1 },
      { times: 3 },
      { delay: '4m' },
      { delay: 0 },
      { priority: 0 },
      { headers: { h: 2 } },
    ]
    for (const options of wrong)
      await expect(expects({ to: 'a' }, options), JSON.stringify(options)).rejects.toThrow(AssertionError)
    await expect(expects({}, { tmes: 1 })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    // The distance stays when the clock moves.
    await database.clock.advance('1h')
    await expects({ to: 'a' }, { delay: '5m' })
  })

  test('and an assertion that fails lists what is there and where it differs', async () => {
    const error = async (payload: unknown, options = {}): Promise<AssertionError> =>
      expects(payload, options).then(
        () => expect.unreachable(),
        (reason) => reason,
      )
    expect((await error({ to: 'b' })).message).toBe(
      `Expected a message in '${name}' with { to: 'b' }.\nThe queue is empty.`,
    )
    await producer().enqueue({ to: 'a', template: 'welcome' }, { delay: '5m', priority: 1 })
    await producer().enqueue({ to: 'b' })
    const failed = await error({ to: 'b', template: 'welcome' }, { delay: '5m' })
    expect(failed.message.split('\n')).toEqual([
      `Expected a message in '${name}' with { to: 'b', template: 'welcome' }, delay '5m'.`,
      '0 of its 2 messages match:',
      `  - { to: 'a', template: 'welcome' } (delay 300000 ms, priority 1)`,
      `      to: 'a' instead of 'b'`,
      `  - { to: 'b' }`,
      `      template: undefined instead of 'welcome'`,
      '      delay: 0 ms instead of 300000 ms',
    ])
    expect(failed.actual).toEqual([{ to: 'a', template: 'welcome' }, { to: 'b' }])
    expect((await error({}, { times: 1 })).message).toContain('2 of its 2 messages match')
  })
})

/** A program in this project, which finds pgqrs by the paths of its tsconfig. */
async function runProgram(text: string, env: Record<string, string>) {
  const args = ['--import', 'tsx', '--input-type=module', '-e', text]
  return run(process.execPath, args, { env })
}
