// What each role of pgqrs may do, and what it may not: each thing is tried by a login of each role.

import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { expected } from '../../src/admin/expected.generated.js'
import { roles as allRoles, grantAgain } from '../../src/admin/roles.js'
import { Database } from '../../src/database/database.js'
import { statements } from '../../src/database/sql.generated.js'
import {
  Config,
  Consumer,
  connect,
  DeadLetter,
  Pgqrs,
  PgqrsAdmin,
  Producer,
  RetryAfter,
  type Role,
} from '../../src/index.js'
import { PgqrsArchiveTable, PgqrsMessages, PgqrsQueues, PgqrsWorkers } from '../../src/tables/index.js'
import { freshDatabase } from '../harness/database.js'
import { dropLogin, type Login, newLogin, poolsOfFile } from '../harness/logins.js'
import { installVersion } from '../harness/older-schema.js'
import { spec } from '../harness/spec.js'

const it = spec()
const poolOf = poolsOfFile()

type Who = Role | 'nobody'
const everyone: Who[] = [...allRoles, 'nobody']

interface As {
  login: Login
  pool: pg.Pool
  sql(text: string, values?: unknown[]): Promise<Record<string, string>[]>
}
const as = {} as Record<Who, As>

beforeAll(async () => {
  for (const who of everyone) {
    const login = await newLogin(it.directDsn)
    if (who !== 'nobody') expect(await it.admin.grant(who, login.name)).toBe(true)
    const pool = poolOf(login.dsn)
    as[who] = { login, pool, sql: async (text, values) => (await pool.query(text, values)).rows }
  }
})

/** What is there when something is tried: by the superuser, whom nobody stops. */
interface Given {
  queue: string
  /** A message that waits. */
  ready: string
  /** A message that somebody holds. */
  held: { id: string; attempt: number }
  /** One that is archived, with a result. */
  archived: string
  dead: string
  worker: string
}

async function given(): Promise<Given> {
  const queue = await it.newQueue({ maxAttempts: 1 })
  const producer = it.pgqrs.producer(queue)
  const consumer = it.pgqrs.consumer(queue)
  const [archived, dead, held] = await producer.batchEnqueue([{ n: 1 }, { n: 2 }, { n: 3, type: 'x' }])
  const messages = await consumer.dequeueBatch(3, { lease: '1h' })
  await it.sql(
    `select pgqrs_archive_held(array[$1::bigint], array[1], 'archived', array['ada'], null, array['42'])`,
    [archived!.id],
  )
  await consumer.fail(messages[1]!, 'broken')
  const ready = await producer.enqueue({ n: 4, type: 'x' }, { headers: { tenant: 'acme' } })
  const { id: worker } = await it.admin.workers.register(queue)
  return {
    queue,
    ready: ready.id,
    held: { id: held!.id, attempt: 1 },
    archived: archived!.id,
    dead: dead!.id,
    worker,
  }
}

type Deed = [what: string, mayBe: Who[], tries: (by: As, here: Given) => Promise<unknown>]

const owner: Who[] = ['owner']
const producers: Who[] = ['owner', 'producer']
const workers: Who[] = ['owner', 'worker']
const lookers: Who[] = ['owner', 'worker', 'observer']
const all: Who[] = [...allRoles]

const inTx = async (by: As, work: (tx: pg.PoolClient) => Promise<unknown>) => {
  const tx = await by.pool.connect()
  try {
    await tx.query('begin')
    await work(tx)
    await tx.query('commit')
  } catch (error) {
    await tx.query('rollback')
    throw error
  } finally {
    tx.release()
  }
}

const byLibrary: Deed[] = [
  ['connect', all, async (by) => PgqrsAdmin.over(by.pool, Config.fromDsn(by.login.dsn))],
  ['find a queue', all, (by, { queue }) => new PgqrsQueues(by.pool).getByName(queue)],
  ['list the queues', all, (by) => new PgqrsQueues(by.pool).list()],
  ['install what is installed', all, async (by) => (await over(by)).install()],

  ['enqueue', producers, (by, { queue }) => ofProducer(by, queue).enqueue({ secret: 1 })],
  ['enqueue a batch', producers, (by, { queue }) => ofProducer(by, queue).batchEnqueue([1, 2])],
  [
    'enqueue with every option',
    producers,
    (by, { queue }) =>
      ofProducer(by, queue).enqueue(1, { delay: 5, priority: 3, headers: { a: 1 }, maxAttempts: 2 }),
  ],
  ['enqueue for later', producers, (by, { queue }) => ofProducer(by, queue).enqueueDelayed(1, '1h')],
  [
    'enqueue in a transaction',
    producers,
    (by, { queue }) => inTx(by, (tx) => ofProducer(by, queue).enqueue(1, { tx })),
  ],
  [
    'postpone a message',
    producers,
    (by, { queue, ready }) => ofProducer(by, queue).extendVisibility(ready, '1m'),
  ],
  [
    'wait for a result',
    ['owner', 'producer', 'worker'],
    async (by, { archived }) => {
      expect(await new Pgqrs(await over(by)).result(archived)).toBe(42)
    },
  ],
  [
    'learn that a message is a dead letter',
    ['owner', 'producer', 'worker'],
    async (by, { dead }) => {
      const pgqrs = new Pgqrs(await over(by))
      await pgqrs.result(dead).catch((error) => {
        if (error.code !== 'DEAD_LETTER') throw error
      })
    },
  ],

  ['dequeue', workers, (by, { queue }) => ofConsumer(by, queue).dequeue()],
  ['dequeue by type', workers, (by, { queue }) => ofConsumer(by, queue).dequeue({ type: 'x' })],
  [
    'dequeue in a transaction',
    workers,
    (by, { queue }) => inTx(by, (tx) => ofConsumer(by, queue).dequeue({ tx })),
  ],
  ['archive what is held', workers, (by, { queue, held }) => ofConsumer(by, queue).archive(held, 'ada')],
  ['delete what is held', workers, (by, { queue, held }) => ofConsumer(by, queue).delete(held)],
  ['release what is held', workers, (by, { queue, held }) => ofConsumer(by, queue).release(held)],
  ['fail what is held', workers, (by, { queue, held }) => ofConsumer(by, queue).fail(held, 'x')],
  [
    'make what is held dead',
    workers,
    (by, { queue, held }) => ofConsumer(by, queue).fail(held, 'x', { dead: true }),
  ],
  ['lengthen a lease', workers, (by, { queue, held }) => ofConsumer(by, queue).extendVisibility(held, '1m')],
  [
    'settle in a transaction',
    workers,
    (by, { queue, held }) => inTx(by, (tx) => ofConsumer(by, queue).archive(held, { tx })),
  ],
  ['read a message', workers, (by, { ready }) => new PgqrsMessages(by.pool).get(ready)],
  ['list the messages', workers, (by) => new PgqrsMessages(by.pool).list()],
  ['register as a worker', workers, async (by, { queue }) => (await over(by)).workers.register(queue)],
  ['beat', workers, async (by, { worker }) => (await over(by)).workers.heartbeat(worker)],
  ['ask a worker to stop', workers, async (by, { worker }) => (await over(by)).workers.stop(worker)],
  [
    'release what a worker holds',
    workers,
    async (by, { worker }) => (await over(by)).workers.release(worker, { force: true }),
  ],

  ['see the metrics', lookers, async (by, { queue }) => (await over(by)).queueMetrics(queue)],
  ['see all metrics', lookers, async (by) => (await over(by)).allQueuesMetrics()],
  ['list the workers', lookers, async (by) => (await over(by)).workers.list()],
  ['see which workers are alive', lookers, async (by) => (await over(by)).workers.health()],
  ['count the messages', all, (by) => new PgqrsMessages(by.pool).count()],
  [
    'count the archive',
    ['owner', 'producer', 'worker', 'observer'],
    (by) => new PgqrsArchiveTable(by.pool).count(),
  ],
  ['count the dead letters', lookers, async (by, { queue }) => (await over(by)).deadLetters.count(queue)],
  ['verify the installation', lookers, async (by) => (await over(by)).verify()],

  ['read the archive', owner, (by, { archived }) => new PgqrsArchiveTable(by.pool).get(archived)],
  ['list the dead letters', owner, async (by, { queue }) => (await over(by)).deadLetters.list(queue)],
  ['redrive dead letters', owner, async (by, { queue }) => (await over(by)).deadLetters.redrive(queue)],
  ['create a queue', owner, async (by, { queue }) => (await over(by)).createQueue(`${queue}_more`)],
  ['pause a queue', owner, async (by, { queue }) => (await over(by)).pauseQueue(queue)],
  ['purge a queue', workers, async (by, { queue }) => (await over(by)).purgeQueue(queue)],
  ['purge an archive', owner, async (by, { queue }) => (await over(by)).purgeArchive(queue)],
  ['delete a queue', owner, async (by, { queue }) => (await over(by)).deleteQueue(queue, { force: true })],
  ['delete a waiting message', workers, (by, { ready }) => new PgqrsMessages(by.pool).delete(ready)],
  ['insert a message', owner, (by, { queue }) => insertMessage(by, queue)],
  ['insert a worker', workers, (by, { queue }) => insertWorker(by, queue)],
  ['delete a worker', owner, (by, { worker }) => new PgqrsWorkers(by.pool).delete(worker)],
  ['purge the workers', owner, async (by) => (await over(by)).workers.purge()],
  ['see who was granted what', owner, async (by) => (await over(by)).listGrants()],
  ['grant', [], async (by) => (await over(by)).grant('producer', as.nobody.login.name)],
  ['revoke', [], async (by) => (await over(by)).revoke('worker', as.worker.login.name)],
  ['uninstall', [], async (by) => (await over(by)).uninstall()],
]

const bySql: Deed[] = [
  ['pgqrs_enqueue', producers, (by, { queue }) => by.sql('select pgqrs_enqueue($1, $2)', [queue, '1'])],
  [
    'pgqrs_enqueue_batch',
    producers,
    (by, { queue }) => by.sql(`select pgqrs_enqueue_batch($1, '[{"p": 1}]')`, [queue]),
  ],
  [
    'pgqrs_enqueue_plain',
    producers,
    (by, { queue }) => by.sql(`select pgqrs_enqueue_plain($1, '[1]')`, [queue]),
  ],
  ['read a payload', workers, (by) => by.sql('select payload from pgqrs_messages')],
  ['read headers', workers, (by) => by.sql('select headers from pgqrs_messages')],
  ['find by payload', workers, (by) => by.sql(`select id from pgqrs_messages where payload->>'n' = '1'`)],
  ['read an archived payload', owner, (by) => by.sql('select payload from pgqrs_archive')],
  [
    'read an archived payload in its partition',
    [],
    (by) => by.sql('select payload from pgqrs_archive_default'),
  ],
  ['copy the messages out', workers, (by) => by.sql('copy pgqrs_messages to stdout')],
  [
    'see who waits',
    lookers,
    (by) => by.sql('select id, due_at, leased_by, attempt, last_error from pgqrs_messages'),
  ],
  [
    'see what was settled',
    ['owner', 'observer'],
    (by) => by.sql('select id, archived_by, outcome, last_error from pgqrs_archive'),
  ],
  [
    'insert a message past the functions',
    owner,
    (by) => by.sql(`insert into pgqrs_messages (queue_id, payload) select id, '1' from pgqrs_queues limit 1`),
  ],
  ['change a payload', owner, (by) => by.sql(`update pgqrs_messages set payload = '1'`)],
  ['change a priority', owner, (by) => by.sql('update pgqrs_messages set priority = 1')],
  ['rename a queue', owner, (by) => by.sql(`update pgqrs_queues set name = name || 'x' where false`)],
  ['lock a queue', owner, (by) => by.sql('select id from pgqrs_queues for key share')],
  ['change the archive', owner, (by) => by.sql(`update pgqrs_archive set outcome = 'dead' where false`)],
  ['delete from the archive', owner, (by) => by.sql('delete from pgqrs_archive where false')],
  [
    'change what a worker serves',
    owner,
    (by) => by.sql('update pgqrs_workers set queue_id = queue_id where false'),
  ],
  ['write the migrations', [], (by) => by.sql('delete from pgqrs_migrations')],
  ['write the grants', [], (by) => by.sql('delete from pgqrs_grants')],
  ['truncate', [], (by) => by.sql('truncate pgqrs_messages')],
  ['change a table', [], (by) => by.sql('alter table pgqrs_messages add column more text')],
  ['make a table in the schema', [], (by) => by.sql('create table public.mine (id int)')],
  [
    'replace a function',
    [],
    (by) =>
      by.sql(
        `create or replace function public.pgqrs_next_due(p_queues text[]) returns double precision language sql as 'select 1.0::double precision'`,
      ),
  ],
  ['set the sequence of ids back', [], (by) => by.sql(`select setval('pgqrs_messages_id_seq', 1)`)],
  [
    'borrow a trigger function that runs as the owner',
    [],
    (by) =>
      by.sql(
        'create temp table mine (queue_id bigint); create trigger t after insert on mine for each row execute function public.pgqrs_require_queue()',
      ),
  ],
]

const ofProducer = (by: As, queue: string) => new Producer(by.pool, queue)
const ofConsumer = (by: As, queue: string) => new Consumer(by.pool, queue)
const over = (by: As) => PgqrsAdmin.over(by.pool, Config.fromDsn(by.login.dsn))
const queueId = async (queue: string) => (await it.admin.getQueue(queue)).id
const insertMessage = async (by: As, queue: string) =>
  new PgqrsMessages(by.pool).insert({ queueId: await queueId(queue), payload: 1 })
const insertWorker = async (by: As, queue: string) =>
  new PgqrsWorkers(by.pool).insert({ queueId: await queueId(queue), hostname: 'here' })

describe.each(everyone)('a login that is %s', (who) => {
  test.each(
    byLibrary.map(([what, mayBe, tries]) => [mayBe.includes(who) ? 'can' : 'cannot', what, tries] as const),
  )('%s %s', async (can, _, tries) => {
    const here = await given()
    const before = await snapshot()
    const done = tries(as[who], here)
    if (can === 'can') return void (await done)
    await expect(done).rejects.toMatchObject({ code: 'PERMISSION_DENIED', hint: expect.stringMatching(/\w/) })
    expect(await snapshot(), 'nothing half done').toEqual(before)
  })

  test.each(
    bySql.map(([what, mayBe, tries]) => [mayBe.includes(who) ? 'can' : 'cannot', what, tries] as const),
  )('%s, in plain SQL, %s', async (can, _, tries) => {
    const here = await given()
    const done = tries(as[who], here)
    if (can === 'can') return void (await done)
    await expect(done).rejects.toMatchObject({ code: '42501' })
  })
})

/** All that is stored, as digests. */
const snapshot = async () => {
  const tables = ['messages', 'queues', 'workers', 'archive', 'grants']
  const digests = tables.map(
    (table) => `(select md5(string_agg(t::text, ',' order by t::text)) from pgqrs_${table} t) as ${table}`,
  )
  return (await it.sql(`select ${digests.join(', ')}`))[0]
}

test('a producer sees of its message what it enqueued, and of others nothing', async () => {
  const queue = await it.newQueue()
  const { payload, id } = await ofProducer(as.producer, queue).enqueue({ secret: 1 })
  expect(payload).toEqual({ secret: 1 })
  const client = await as.producer.pool.connect()
  try {
    const seen = await client.query('select id from pgqrs_messages where id = $1', [id])
    expect(seen.rows).toEqual([{ id }])
    for (const column of ['payload', 'headers', 'last_error', 'attempt', 'leased_until'])
      await expect(client.query(`select ${column} from pgqrs_messages`)).rejects.toMatchObject({
        code: '42501',
      })
  } finally {
    client.release()
  }
})

test('a producer cannot shorten what it may lengthen', async () => {
  const { queue, ready } = await given()
  await expect(as.producer.sql('select pgqrs_postpone($1, $2, -1)', [queue, ready])).rejects.toMatchObject({
    code: '22023',
  })
})

test('a producer cannot say that it has looked for the queue, and leave a message without one', async () => {
  const client = await as.producer.pool.connect()
  try {
    await client.query(`set pgqrs.checked = 'on'`)
    await expect(
      client.query(`insert into pgqrs_messages (queue_id, payload) values (-1, '1')`),
    ).rejects.toMatchObject({ code: '42501' })
    await expect(client.query(`select pgqrs_enqueue('no_such_queue', '1')`)).rejects.toMatchObject({
      code: 'PQ001',
    })
  } finally {
    client.release(true)
  }
})

test('a trigger on a table of a producer’s own enqueues', async () => {
  const queue = await it.newQueue()
  const { login, sql } = as.producer
  await it.sql(`create schema shop authorization "${login.name}"`)
  await sql('create table shop.orders (item text)')
  await sql(`create function shop.enqueue() returns trigger language plpgsql as $$
    begin perform public.pgqrs_enqueue('${queue}', to_jsonb(new)); return null; end $$`)
  await sql('create trigger enqueue after insert on shop.orders for each row execute function shop.enqueue()')
  await sql(`insert into shop.orders values ('lamp')`)
  expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toEqual({ item: 'lamp' })
})

test('what stands in the search path of a producer does not stand in for what a function of the owner calls', async () => {
  const queue = await it.newQueue()
  const { login } = as.producer
  await it.sql(`create schema trap authorization "${login.name}"`)
  const client = await as.producer.pool.connect()
  try {
    await client.query(`create table trap.pgqrs_queues (id bigint, name text, max_attempts int)`)
    await client.query(`create function trap.clock_timestamp() returns timestamptz language plpgsql as $$
      begin raise exception 'called as %', current_user; end $$`)
    await client.query(`create function trap.jsonb_array_elements(jsonb) returns setof jsonb language plpgsql as $$
      begin raise exception 'called as %', current_user; end $$`)
    await client.query('set search_path = trap, pg_temp, pg_catalog, public')
    await client.query('create temp table pgqrs_messages (id bigint)')
    await client.query('select public.pgqrs_enqueue($1, $2)', [queue, '1'])
  } finally {
    client.release(true)
  }
  expect((await it.pgqrs.consumer(queue).dequeue())?.payload).toBe(1)
})

describe('a worker', () => {
  test('runs as a worker, settles all ways, and another role may enqueue for it', async () => {
    const queue = await it.newQueue({ maxAttempts: 2 })
    const pgqrs = await connect({ pool: as.worker.pool })
    const seen: unknown[] = []
    const worker = pgqrs.worker<{ do: string }>(
      queue,
      async ({ payload, attempt }, { tx, extend }) => {
        seen.push(payload.do)
        await extend('1m')
        if (payload.do === 'throw' && attempt === 1) throw new RetryAfter(1)
        if (payload.do === 'die') throw new DeadLetter('for good')
        if (payload.do === 'tx') await tx(async () => 'tx')
        return payload.do
      },
      { keepResult: true, name: 'least' },
    )
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error)).on('degraded', (what) => errors.push(what))
    const producer = ofProducer(as.producer, queue)
    const ids: string[] = []
    for (const what of ['succeed', 'throw', 'die', 'tx']) ids.push((await producer.enqueue({ do: what })).id)
    const asProducer = await connect({ pool: as.producer.pool })
    expect(await asProducer.result(ids[0]!)).toBe('succeed')
    expect(await asProducer.result(ids[1]!)).toBe('throw')
    await expect(asProducer.result(ids[2]!)).rejects.toMatchObject({ code: 'DEAD_LETTER' })
    expect(await asProducer.result(ids[3]!)).toBe('tx')
    await worker.stop()
    expect(errors).toEqual([])
    expect(await it.admin.queueMetrics(queue)).toMatchObject({
      archivedCount: 3,
      deadCount: 1,
      totalCount: 4,
    })
    expect((await it.admin.workers.list({ queue }))[0]).toMatchObject({ name: 'least', state: 'stopped' })
  })

  test('that may not work says so, and does not hang', async () => {
    const queue = await it.newQueue()
    const pgqrs = await connect({ pool: as.observer.pool })
    const worker = pgqrs.worker(queue, async () => {})
    const told = new Promise((resolve) => {
      worker.on('error', resolve).on('degraded', ({ error }) => resolve(error))
    })
    const ended = worker.idle().catch((error) => error)
    expect(await Promise.race([told, ended])).toMatchObject({ code: 'PERMISSION_DENIED' })
    await worker.stop()
  })

  test('archives into a partition that was made after its grant', async () => {
    for (const { name } of await it.sql('select name from pgqrs_archive_partitions()'))
      await it.sql(`drop table ${name}`)
    await it.sql('truncate pgqrs_archive')
    const [{ name: later } = { name: '' }] = await it.sql(
      `select pgqrs_archive_attach(now() - interval '1 minute', now() + interval '1 hour') as name`,
    )
    const queue = await it.newQueue()
    await ofProducer(as.producer, queue).enqueue(1)
    const consumer = ofConsumer(as.worker, queue)
    const message = await consumer.dequeue()
    expect(await consumer.archive(message!)).toBe(true)
    expect(await it.sql(`select outcome from ${later} where id = $1`, [message!.id])).toHaveLength(1)
    expect(
      await as.observer.sql('select outcome from pgqrs_archive where id = $1', [message!.id]),
    ).toHaveLength(1)
  })
})

describe('grant and revoke', () => {
  test('are idempotent, and say whether anything is new', async () => {
    const { name } = await newLogin(it.directDsn)
    expect(await it.admin.grant('producer', name)).toBe(true)
    expect(await it.admin.grant('producer', name)).toBe(false)
    expect(await it.admin.listGrants()).toContainEqual({
      role: 'producer',
      grantee: name,
      grantedAt: expect.any(Date),
    })
    expect(await it.admin.revoke('producer', name)).toBe(true)
    expect(await it.admin.revoke('producer', name)).toBe(false)
    expect((await it.admin.listGrants()).map(({ grantee }) => grantee)).not.toContain(name)
  })

  test('take back what only this role needs, and leave what another does', async () => {
    const login = await newLogin(it.directDsn)
    const pool = poolOf(login.dsn)
    const queue = await it.newQueue()
    await it.admin.grant('producer', login.name)
    await it.admin.grant('worker', login.name)
    await it.admin.revoke('worker', login.name)
    await new Producer(pool, queue).enqueue(1)
    await expect(new Consumer(pool, queue).dequeue()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    await it.admin.revoke('producer', login.name)
    await expect(new Producer(pool, queue).enqueue(1)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    await expect(PgqrsAdmin.over(pool, Config.fromDsn(login.dsn))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    })
  })

  test('many at once, for one role and for several', async () => {
    const logins = await Promise.all([1, 2, 3].map(() => newLogin(it.directDsn)))
    const grants = logins.flatMap(({ name }) => allRoles.map((role) => it.admin.grant(role, name)))
    expect(await Promise.all(grants)).toEqual(grants.map(() => true))
  })

  test('while messages are enqueued and settled, stop neither', async () => {
    const { name } = await newLogin(it.directDsn)
    const queue = await it.newQueue()
    const consumer = ofConsumer(as.worker, queue)
    let on = true
    const load = (async () => {
      let settled = 0
      while (on) {
        await ofProducer(as.producer, queue).enqueue(1)
        const message = await consumer.dequeue()
        if (await consumer.archive(message!)) settled += 1
      }
      return settled
    })()
    for (let n = 0; n < 10; n++) {
      await it.admin.grant('owner', name)
      await it.admin.revoke('owner', name)
    }
    on = false
    expect(await load).toBeGreaterThan(0)
  })

  test.each([
    'no such role',
    'public',
    'PUBLIC',
    'current_user',
    '"; drop table pgqrs_messages; --',
    "'; drop table pgqrs_messages; --",
    'a:"schema"b',
    "a:'schema'b",
    `${'x'.repeat(70)}`,
    '\u{1F600}',
  ])('refuse the grantee %s: there is no such role', async (grantee) => {
    for (const how of ['grant', 'revoke'] as const)
      await expect(it.admin[how]('producer', grantee)).rejects.toMatchObject({
        code: 'ROLE_NOT_FOUND',
        hint: expect.stringContaining('CREATE ROLE'),
      })
  })

  test.each([
    'Quoted "Name"',
    "o'brien",
    'semi;colon',
    'a:"schema"b',
    "a:'schema'b",
    '%I%s',
    '\\',
    '\u{1F600}',
    'select',
  ])('know a role whatever it is called: %s', async (given) => {
    const name = `${given} ${process.pid}`
    const login = await newLogin(it.directDsn, name)
    const queue = await it.newQueue()
    await it.admin.grant('producer', name)
    await new Producer(poolOf(login.dsn), queue).enqueue(1)
    expect(await it.admin.revoke('producer', name)).toBe(true)
  })

  test('a name that PostgreSQL would cut short is no other role', async () => {
    const name = `cut_${process.pid}_`.padEnd(63, 'x')
    await newLogin(it.directDsn, name)
    await expect(it.admin.grant('owner', `${name}yz`)).rejects.toMatchObject({ code: 'ROLE_NOT_FOUND' })
  })

  test('refuse a role of pgqrs that is none', async () => {
    for (const role of ['admin', '', 'Producer', 'producer; drop'])
      await expect(it.admin.grant(role as Role, as.nobody.login.name)).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
  })

  test('leave whoever owns the tables alone', async () => {
    for (const how of ['grant', 'revoke'] as const)
      await expect(it.admin[how]('owner', 'postgres')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await it.admin.queueMetrics(await it.newQueue())
  })

  test('say who may, to whoever may not', async () => {
    await expect((await over(as.owner)).grant('producer', as.nobody.login.name)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('postgres'),
      hint: expect.stringContaining('Connect as postgres'),
    })
  })

  test('of one who was dropped, and made again, nothing is left', async () => {
    const { name } = await newLogin(it.directDsn)
    await it.admin.grant('worker', name)
    await dropLogin(it.directDsn, name)
    expect((await it.admin.listGrants()).map(({ grantee }) => grantee)).not.toContain(name)
    await newLogin(it.directDsn, name)
    expect((await it.admin.listGrants()).map(({ grantee }) => grantee)).not.toContain(name)
    expect(await it.sql(`select has_table_privilege($1, 'pgqrs_messages', 'delete') as may`, [name])).toEqual(
      [{ may: false }],
    )
  })

  test('in a schema of its own, whose use is granted too', async () => {
    const dsn = it.directDsn
    const config = Config.fromDsnWithSchema(dsn, `odd "schema' ; --`)
    await using admin = await PgqrsAdmin.connect(config)
    await admin.install({ createSchema: true })
    await admin.createQueue('here')
    const login = await newLogin(it.directDsn)
    const own = Config.fromDsnWithSchema(login.dsn, config.schema)
    const pool = poolOf(login.dsn)
    await expect(PgqrsAdmin.over(pool, own)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    await admin.grant('producer', login.name)
    await new Producer(pool, 'here', own).enqueue(1)
    await admin.uninstall()
  })

  test('of a schema that is somebody else’s say who can grant its use, and grant nothing', async () => {
    const installer = await newLogin(it.directDsn)
    const schema = `of_${installer.name}`
    await it.sql(`create schema ${schema}; grant usage, create on schema ${schema} to ${installer.name}`)
    await using admin = await PgqrsAdmin.connect(Config.fromDsnWithSchema(installer.dsn, schema))
    await admin.install()
    const { name } = await newLogin(it.directDsn)
    await expect(admin.grant('producer', name)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('grant usage on schema'),
    })
    expect(await admin.listGrants()).toEqual([])
    await it.sql(`grant usage on schema ${schema} to ${name}`)
    expect(await admin.grant('producer', name)).toBe(true)
  })
})

describe('what a later version adds', () => {
  test('takes nothing from a role that was granted rights on the tables by hand', async () => {
    const database = await freshDatabase()
    await using admin = await PgqrsAdmin.connect(Config.fromDsn(database.directDsn))
    const client = await poolOf(database.directDsn).connect()
    await installVersion(client, 2)
    client.release()
    const login = await newLogin(database.directDsn)
    // As the documents said before there were roles.
    await admin.pool.query(`grant select on pgqrs_migrations, pgqrs_queues to ${login.name};
      grant update (name) on pgqrs_queues to ${login.name};
      grant select, insert on pgqrs_messages to ${login.name}`)
    await admin.install()
    await admin.createQueue('emails')
    const pool = poolOf(login.dsn)
    expect((await new Producer(pool, 'emails').enqueue({ n: 1 })).payload).toEqual({ n: 1 })
    expect((await pool.query(`select pgqrs_enqueue('emails', '1') as id`)).rows).toHaveLength(1)
    await pool.query(`insert into pgqrs_messages (queue_id, payload) select id, '1' from pgqrs_queues`)
  })

  test('is granted again by its installation', async () => {
    const { name } = await newLogin(it.directDsn)
    await it.admin.grant('worker', name)
    // As if the newest migration were still to come, with tables and functions that nobody has a right on yet.
    await it.sql(`revoke all on pgqrs_messages, pgqrs_workers from ${name}`)
    const may = () => it.sql(`select has_table_privilege($1, 'pgqrs_messages', 'delete') as may`, [name])
    expect(await may()).toEqual([{ may: false }])
    await Database.of(it.admin.pool).transaction((session) => grantAgain(session))
    expect(await may()).toEqual([{ may: true }])
  })

  test('is given to somebody: no table and no function is forgotten', () => {
    const text = statements.applyGrant
    const tables = new Set(expected.flatMap((line) => /^column (\w+)\./.exec(line)?.[1] ?? []))
    expect([...tables].filter((table) => !text.includes(`table ${table}'`))).toEqual([])
    const asOwner = expected.flatMap(
      (line) => /^function (\w+)\(.*\) as its owner \w+$/.exec(line)?.[1] ?? [],
    )
    const ofTriggers = [
      'pgqrs_keep_all_queues',
      'pgqrs_keep_queue',
      'pgqrs_require_queue',
      'pgqrs_require_queues',
    ]
    expect(
      asOwner.filter((name) => !ofTriggers.includes(name) && !text.includes(`function ${name}(`)),
    ).toEqual([])
  })

  test('no function that runs as its owner is for everybody, and each has its own search path', async () => {
    const rows =
      await it.sql(`select proname from pg_proc p where pronamespace = 'public'::regnamespace and prosecdef
      and (has_function_privilege('public', p.oid, 'execute')
        or not coalesce(proconfig @> array['search_path=pg_catalog, pg_temp'], false))`)
    expect(rows).toEqual([])
  })
})
