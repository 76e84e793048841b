// What docs/limits.md states, at each limit and one beyond it: what is beyond is refused before anything is written.

import { readFileSync } from 'node:fs'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import {
  Config,
  Consumer,
  connect,
  PgqrsAdmin,
  type PgqrsError,
  PgqrsMessages,
  PgqrsWorkers,
} from '../../src/index.js'
import { blocksOf, pages, rowsOf } from '../docs/markdown.js'
import { eventually } from '../harness/eventually.js'
import { newLogin } from '../harness/logins.js'
import { spec } from '../harness/spec.js'

const it = spec({ connectionTimeoutSeconds: 5 })

const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
const levelsOfObject = (levels: number): object => (levels === 1 ? {} : { a: levelsOfObject(levels - 1) })
const text = (bytesOfJson: number) => 'x'.repeat(bytesOfJson - 2)
const century = 100 * 365 * 86_400_000

interface Case {
  /** Is taken. */
  good: () => unknown
  /** Is refused; nothing where there is no such thing. */
  beyond?: () => unknown
  /** With this code; a thing that cannot be meant where none is given. */
  code?: string
}

let queue = ''
const producer = () => it.pgqrs.producer(queue)
const consumer = () => it.pgqrs.consumer(queue)
const never = { id: '999999999', attempt: 1 }
const config = (values: object) => Config.fromDsn(it.dsn, values)
const invalid = /^(ARGUMENT|PAYLOAD|CONFIG)_INVALID$/
const served = (options: object) => async () => {
  const worker = it.pgqrs.worker(queue, async () => {}, options)
  await worker.stop()
}
const batchWorker = (size: number) => async () => {
  await it.pgqrs.worker(queue, async () => {}, { batch: { size } }).stop()
}
const database = () => it.directDsn

/** By the first column of the document. */
const cases: Record<string, Case[]> = {
  payload: [
    { good: () => producer().enqueue(text(1_048_576)), beyond: () => producer().enqueue(text(1_048_577)) },
    // Bytes, not characters.
    {
      good: () => producer().enqueue('ä'.repeat(524_287)),
      beyond: () => producer().enqueue('ä'.repeat(524_288)),
    },
    {
      good: () => config({ validation: { maxPayloadBytes: 268_435_455 } }),
      beyond: () => config({ validation: { maxPayloadBytes: 268_435_456 } }),
    },
    {
      good: () =>
        it.pgqrs.producer(queue, { validation: { maxPayloadBytes: 10_000_000 } }).enqueue(text(10_000_000)),
      beyond: () =>
        it.pgqrs.producer(queue, { validation: { maxPayloadBytes: 10_000_000 } }).enqueue(text(10_000_001)),
    },
  ],
  'levels of a payload': [
    { good: () => producer().enqueue(nested(100)), beyond: () => producer().enqueue(nested(101)) },
    {
      good: () => config({ validation: { maxDepth: 1_000 } }),
      beyond: () => config({ validation: { maxDepth: 1_001 } }),
    },
    {
      good: () => it.pgqrs.producer(queue, { validation: { maxDepth: 1_000 } }).enqueue(nested(1_000)),
      beyond: () => it.pgqrs.producer(queue, { validation: { maxDepth: 1_000 } }).enqueue(nested(1_001)),
    },
  ],
  headers: [
    {
      good: () => producer().enqueue(1, { headers: { a: 'x'.repeat(16_384 - 8) } }),
      beyond: () => producer().enqueue(1, { headers: { a: 'x'.repeat(16_384 - 7) } }),
    },
  ],
  'levels of headers': [
    {
      good: () => producer().enqueue(1, { headers: levelsOfObject(10) as never }),
      beyond: () => producer().enqueue(1, { headers: levelsOfObject(11) as never }),
    },
  ],
  priority: [
    {
      good: () => producer().enqueue(1, { priority: 2 ** 31 - 1 }),
      beyond: () => producer().enqueue(1, { priority: 2 ** 31 }),
    },
    {
      good: () => producer().enqueue(1, { priority: -(2 ** 31) }),
      beyond: () => producer().enqueue(1, { priority: -(2 ** 31) - 1 }),
    },
  ],
  attempts: [
    {
      good: () => producer().enqueue(1, { maxAttempts: 1_000 }),
      beyond: () => producer().enqueue(1, { maxAttempts: 1_001 }),
    },
    {
      good: () => producer().enqueue(1, { maxAttempts: 1 }),
      beyond: () => producer().enqueue(1, { maxAttempts: 0 }),
    },
    {
      good: () => it.admin.createQueue(`${queue}_most`, { maxAttempts: 1_000 }),
      beyond: () => it.admin.createQueue(`${queue}_more`, { maxAttempts: 1_001 }),
    },
  ],
  delay: [
    {
      good: () => producer().enqueue(1, { delay: century }),
      beyond: () => producer().enqueue(1, { delay: century + 1 }),
    },
    { good: () => producer().enqueue(1, { delay: 0 }), beyond: () => producer().enqueue(1, { delay: -1 }) },
  ],
  'due time': [
    {
      good: () => producer().enqueue(1, { at: '9999-12-31T23:59:59Z' }),
      beyond: () => producer().enqueue(1, { at: '+010000-01-01T00:00:00Z' }),
    },
    { good: () => producer().enqueue(1, { at: new Date(0) }) },
  ],
  'last error': [
    {
      good: async () => {
        await producer().enqueue(1, { maxAttempts: 1 })
        const message = await consumer().dequeue()
        expect(await consumer().fail(message!, 'x'.repeat(8_001))).toBe('dead')
        const [letter] = await it.admin.deadLetters.list(queue)
        expect(letter?.lastError).toHaveLength(8_000)
        expect(letter?.lastError).toMatch(/ …$/)
      },
    },
  ],
  result: [
    { good: () => resultOf(text(1_048_576)) },
    { good: () => expect(resultOf(text(1_048_577))).rejects.toMatchObject({ code: 'DEAD_LETTER' }) },
    { good: () => expect(resultOf(nested(101))).rejects.toMatchObject({ code: 'DEAD_LETTER' }) },
  ],
  'archived by': [
    {
      good: () => consumer().archive(never, 'x'.repeat(200)),
      beyond: () => consumer().archive(never, 'x'.repeat(201)),
    },
    {
      good: () => new PgqrsMessages(it.admin.pool).archive('999999999', { archivedBy: 'x'.repeat(200) }),
      beyond: () => new PgqrsMessages(it.admin.pool).archive('999999999', { archivedBy: 'x'.repeat(201) }),
    },
  ],
  'queue name': [
    {
      good: () => it.admin.createQueue(`${queue}:/.-_`.padEnd(128, 'x')),
      beyond: () => it.admin.createQueue(`${queue}:/.-_`.padEnd(129, 'x')),
    },
    { good: () => it.admin.createQueue(`0${queue}`), beyond: () => it.admin.createQueue(`-${queue}`) },
    { good: () => it.admin.createQueue(`_${queue}`), beyond: () => it.admin.createQueue('') },
  ],
  'schema name': [
    {
      good: async () => {
        await using admin = await PgqrsAdmin.connect(config({ schema: 's'.repeat(63) }))
        await admin.install({ createSchema: true })
        await admin.createQueue('here')
        await using pgqrs = await connect(config({ schema: 's'.repeat(63) }))
        await using worker = pgqrs.worker('here', async () => {})
        await pgqrs.producer('here').enqueue(1)
        await worker.idle()
      },
      beyond: () => config({ schema: 's'.repeat(64) }),
    },
    { good: () => config({ schema: 'ä'.repeat(31) }), beyond: () => config({ schema: 'ä'.repeat(32) }) },
    { good: () => config({ schema: 'pgqrs' }), beyond: () => config({ schema: 'pg_qrs' }) },
  ],
  'worker name': [
    {
      good: () => it.admin.workers.register(queue, { name: 'x'.repeat(200) }),
      beyond: () => it.admin.workers.register(queue, { name: 'x'.repeat(201) }),
    },
    { good: served({ name: 'x'.repeat(200) }), beyond: served({ name: 'x'.repeat(201) }) },
  ],
  'host name of a worker': [
    { good: () => workerOn('x'.repeat(255)), beyond: () => workerOn('x'.repeat(256)) },
  ],
  grantee: [
    {
      good: async () => {
        const { name } = await newLogin(it.directDsn, `limit_${process.pid}_`.padEnd(63, 'x'))
        await it.admin.grant('producer', name)
      },
      beyond: () => it.admin.grant('producer', `limit_${process.pid}_`.padEnd(64, 'x')),
      code: 'ROLE_NOT_FOUND',
    },
  ],
  'batch of an enqueue': [
    {
      good: () => producer().batchEnqueue(new Array(100_000).fill(1)),
      beyond: () => producer().batchEnqueue(new Array(100_001).fill(1)),
    },
  ],
  'bytes of a batch': [
    {
      good: () => producer().batchEnqueue(new Array(20).fill(text(1_000_000))),
      beyond: () => producer().batchEnqueue(new Array(201).fill(text(1_000_000))),
    },
  ],
  'batch of a dequeue': [
    { good: () => consumer().dequeueBatch(10_000), beyond: () => consumer().dequeueBatch(10_001) },
    { good: () => consumer().dequeueBatch(1), beyond: () => consumer().dequeueBatch(0) },
  ],
  'lease of a dequeue': [
    { good: () => consumer().dequeue({ lease: 1 }), beyond: () => consumer().dequeue({ lease: 0 }) },
    {
      good: () => consumer().dequeue({ lease: century }),
      beyond: () => consumer().dequeue({ lease: century + 1 }),
    },
  ],
  'batch of a settle': [
    {
      good: async () => {
        await producer().batchEnqueue(new Array(20_000).fill(1))
        const held = [
          ...(await consumer().dequeueBatch(10_000, { lease: '1m' })),
          ...(await consumer().dequeueBatch(10_000, { lease: '1m' })),
        ]
        expect(held).toHaveLength(20_000)
        expect((await consumer().archiveBatch(held)).every(Boolean)).toBe(true)
      },
    },
  ],
  'messages that a consumer remembers by their id': [
    {
      good: async () => {
        await producer().batchEnqueue(new Array(100_000).fill(1))
        await producer().enqueue(2, { priority: -1 })
        const own = new Consumer(it.admin.pool, queue, undefined, { lease: '10m' })
        const [first] = await own.dequeueBatch(1)
        for (let n = 0; n < 10; n++) await own.dequeueBatch(10_000)
        expect(own.remembers(first!.id)).toBe(false)
        expect(await own.archive(first!.id)).toBe(false)
        expect(await own.archive(first!)).toBe(true)
      },
    },
  ],
  'page of a list': [
    {
      good: () => new PgqrsMessages(it.admin.pool).list({ limit: 10_000 }),
      beyond: () => new PgqrsMessages(it.admin.pool).list({ limit: 10_001 }),
    },
  ],
  redrive: [
    {
      good: () => it.admin.deadLetters.redrive(queue, { limit: 10_000 }),
      beyond: () => it.admin.deadLetters.redrive(queue, { limit: 10_001 }),
    },
  ],
  retention: [
    {
      good: () => it.admin.updateQueue(queue, { retention: '1m' }),
      beyond: () => it.admin.updateQueue(queue, { retention: 59_999 }),
    },
    {
      good: () => it.admin.updateQueue(queue, { deadRetention: century }),
      beyond: () => it.admin.updateQueue(queue, { deadRetention: century + 1 }),
    },
  ],
  'concurrency of a queue': [
    { good: served({ concurrency: 10_000 }), beyond: served({ concurrency: 10_001 }) },
    { good: served({ concurrency: 1 }), beyond: served({ concurrency: 0 }) },
  ],
  'concurrency of a worker': [
    { good: served({ totalConcurrency: 100_000 }), beyond: served({ totalConcurrency: 100_001 }) },
  ],
  prefetch: [
    { good: served({ prefetch: 10_000 }), beyond: served({ prefetch: 10_001 }) },
    { good: served({ prefetch: 0 }), beyond: served({ prefetch: -1 }) },
  ],
  'lease of a worker': [
    { good: served({ lease: 100 }), beyond: served({ lease: 99 }) },
    { good: served({ lease: century }), beyond: served({ lease: century + 1 }) },
  ],
  'handler’s time limit': [
    { good: served({ timeout: 1 }), beyond: served({ timeout: 0 }) },
    { good: served({ timeout: century }), beyond: served({ timeout: century + 1 }) },
  ],
  backoff: [
    { good: served({ backoff: century }), beyond: served({ backoff: century + 1 }) },
    { good: served({ backoff: 0 }), beyond: served({ backoff: -1 }) },
  ],
  'batch of a handler': [
    { good: batchWorker(10_000), beyond: batchWorker(10_001) },
    { good: batchWorker(1), beyond: batchWorker(0) },
  ],
  'weight of a queue': [{ good: served({ weight: 1_000 }), beyond: served({ weight: 1_001 }) }],
  'poll interval': [
    { good: served({ pollInterval: 10 }), beyond: served({ pollInterval: 9 }) },
    { good: served({ pollInterval: '1000d' }) },
  ],
  queues: [
    {
      good: async () => {
        await it.sql(`insert into pgqrs_queues (name) select 'many_' || n from generate_series(1, 5000) n`)
        const names = (await it.admin.listQueues()).filter(({ name }) => name.startsWith('many_'))
        expect(names).toHaveLength(5_000)
        expect((await it.admin.allQueuesMetrics()).length).toBeGreaterThan(5_000)
        await it.pgqrs.producer('many_4999').enqueue(1)
        expect(await it.pgqrs.consumer('many_4999').dequeue()).not.toBeNull()
      },
    },
  ],
  'connections of a pool': [
    { good: () => config({ maxConnections: 10_000 }), beyond: () => config({ maxConnections: 10_001 }) },
    {
      good: async () => {
        await using small = await connect(config({ maxConnections: 1, connectionTimeoutSeconds: 0.5 }))
        const client = await small.pool.connect()
        await expect(small.admin.listQueues()).rejects.toMatchObject({
          code: 'DATABASE_UNAVAILABLE',
          hint: expect.stringContaining('maxConnections'),
        })
        client.release()
        await small.admin.listQueues()
      },
    },
  ],
  'connections of the server': [{ good: () => serverIsFull() }],
  ids: [
    {
      good: async () => {
        await it.sql(
          `insert into pgqrs_messages (id, queue_id, payload) select 9223372036854775807, id, '1' from pgqrs_queues where name = $1`,
          [queue],
        )
        const message = await consumer().dequeue()
        expect(message?.id).toBe('9223372036854775807')
        expect(await consumer().archive('9223372036854775807')).toBe(true)
      },
      beyond: () => consumer().archive('9223372036854775808'),
    },
  ],
}

async function resultOf(value: unknown): Promise<void> {
  await using worker = it.pgqrs.worker(queue, async () => value, { keepResult: true })
  const { id } = await producer().enqueue(1)
  expect(await it.pgqrs.result(id, { timeout: '20s' })).toEqual(value)
  await worker.idle()
}

async function workerOn(hostname: string): Promise<void> {
  const { id } = await it.admin.getQueue(queue)
  await new PgqrsWorkers(it.admin.pool).insert({ queueId: id, hostname })
}

/** As if the server had no connection left: this role may have two. */
async function serverIsFull(): Promise<void> {
  const login = await newLogin(database())
  await it.sql(`alter role ${login.name} connection limit 2`)
  await it.admin.grant('worker', login.name)
  await using pgqrs = await connect(Config.fromDsn(login.dsn, { maxConnections: 1 }))
  const other = new pg.Client({ connectionString: login.dsn })
  await other.connect()
  await expect(connect(Config.fromDsn(login.dsn))).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  // It cannot listen, and works all the same.
  await using worker = pgqrs.worker(queue, async () => {}, { pollInterval: 20 })
  await producer().enqueue(1)
  await eventually(() => expect(worker.counters.succeeded).toBeGreaterThan(0))
  await other.end()
}

const page = pages().find(({ path }) => path === 'docs/limits.md')
const rows = page === undefined ? [] : rowsOf(page).map(([first = '']) => first.replace("'", '’'))

test('every limit that is stated is tried here, and every one that is tried is stated', () => {
  expect(page && blocksOf(page)).toBeDefined()
  expect(rows.filter((row) => row !== 'limit')).toEqual(Object.keys(cases))
  expect(readFileSync('docs/limits.md', 'utf8')).toContain('has a test')
})

describe.each(Object.keys(cases))('%s', (name) => {
  test.each((cases[name] as Case[]).map((one, index) => [index, one] as const))(
    'case %i',
    { timeout: 120_000 },
    async (_, { good, beyond, code }) => {
      queue = await it.newQueue()
      await good()
      if (beyond === undefined) return
      const before = await it.sql(
        'select (select count(*) from pgqrs_messages) m, (select count(*) from pgqrs_queues) q, (select count(*) from pgqrs_workers) w',
      )
      const error = await (async () => beyond())().then(
        (result) => ({ taken: result }) as never,
        (thrown: PgqrsError) => thrown,
      )
      expect(error.code ?? String(error)).toMatch(code === undefined ? invalid : new RegExp(`^${code}$`))
      expect(error.hint).toMatch(/\w/)
      expect(
        await it.sql(
          'select (select count(*) from pgqrs_messages) m, (select count(*) from pgqrs_queues) q, (select count(*) from pgqrs_workers) w',
        ),
      ).toEqual(before)
    },
  )
})
