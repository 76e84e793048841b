// The command line, command by command and flag by flag.
import { beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/index.js'
import { type CliResult, pgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase({ installed: true })
})

const run = (...words: string[]) => pgqrs(words, { dsn: database.dsn })
const json = async (...words: string[]) => {
  const result = await run(...words, '--format', 'json')
  expect(result.stderr).toBe('')
  expect(result.code).toBe(0)
  // biome-ignore lint/suspicious/noExplicitAny: what the command says is what the test is about
  return result.json() as any
}
const failed = ({ code, stderr, stdout }: CliResult) => ({ code, stderr: stderr.split('\n'), stdout })

describe('install, verify, uninstall', () => {
  test('an empty database is installed, verified and uninstalled, each as often as one likes', async () => {
    const { dsn } = await freshDatabase()
    const on = (...words: string[]) => pgqrs(words, { dsn })
    const before = await on('verify')
    expect(before).toMatchObject({ code: 1, stdout: "pgqrs is not installed in the schema 'public'.\n" })
    expect(before.stderr).toBe(
      "error: pgqrs is not installed in the schema 'public'.\nhint: Install it: pgqrs install.\n",
    )
    expect(await on('install')).toMatchObject({ code: 0, stderr: '' })
    expect((await on('install')).stdout).toContain('up to date already')
    expect((await on('install', '--format', 'json')).json()).toMatchObject({ schema: 'public', applied: [] })
    expect((await on('verify', '--format', 'json')).json()).toMatchObject({ schema: 'public', problems: [] })
    expect((await on('uninstall')).stdout).toContain("uninstalled from the schema 'public'")
    expect((await on('uninstall', '--yes', '--format', 'json')).json()).toEqual({
      schema: 'public',
      uninstalled: false,
    })
  })

  test('a schema that is missing is an error with the statement to run, and made with --create-schema', async () => {
    const { dsn } = await freshDatabase()
    const on = (...words: string[]) => pgqrs(['--schema', 'jobs', ...words], { dsn })
    const refused = await on('install')
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/^error: .*'jobs' does not exist.*\nhint: .*CREATE SCHEMA jobs;.*\n$/)
    expect(await on('install', '--create-schema')).toMatchObject({ code: 0 })
    expect(await on('verify')).toMatchObject({ code: 0 })
    expect(await pgqrs(['verify'], { dsn })).toMatchObject({ code: 1 })
  })

  test('verify prints each thing that is wrong, and exits 1', async () => {
    const { dsn } = await freshDatabase({ installed: true })
    const { pool, close } = await connect(dsn).then((it) => ({ pool: it.pool, close: () => it.close() }))
    await pool.query('drop index pgqrs_messages_order')
    await pool.query('drop trigger pgqrs_messages_queue_insert on pgqrs_messages')
    await close()
    const table = await pgqrs(['verify'], { dsn })
    expect(table.code).toBe(1)
    expect(table.stdout).toContain('index pgqrs_messages_order')
    expect(table.stdout).toContain('trigger pgqrs_messages_queue_insert')
    expect(table.stderr).toMatch(/^error: \d+ things are wrong\.\nhint: /)
    const problems = (await pgqrs(['verify', '--format', 'json'], { dsn })).json() as { problems: string[] }
    expect(problems.problems.length).toBe(table.stdout.trim().split('\n').length)
  })
})

describe('queue', () => {
  test('a queue is told for how long it keeps what is archived, and told otherwise', async () => {
    const day = 86_400_000
    const created = await json('queue', 'create', 'q.kept', '--retention', '30d', '--dead-retention', '3600')
    expect(created).toMatchObject({ retention: 30 * day, deadRetention: day / 24 })
    expect(await run('queue', 'create', 'q.kept', '--retention', 'none')).toMatchObject({ code: 1 })
    expect(
      await json('queue', 'update', 'q.kept', '--retention', 'none', '--max-attempts', '2'),
    ).toMatchObject({
      retention: null,
      deadRetention: day / 24,
      maxAttempts: 2,
    })
    for (const time of ['1', 'never', '-3d'])
      expect(await run('queue', 'update', 'q.kept', '--retention', time)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--retention'),
      })
    expect(await run('queue', 'update', 'q.missing', '--retention', '1d')).toMatchObject({ code: 1 })
  })

  test('the upkeep is done by hand, and shows its steps', async () => {
    await json('queue', 'create', 'q.short', '--retention', '1d')
    const steps = await json('upkeep')
    expect(steps.map(({ what }: { what: string }) => what)).toContain('drop')
    expect(await json('upkeep')).toEqual([])
    expect((await run('upkeep')).stdout).toBe('(none)\n')
  })

  test('a queue is created once, listed, measured, purged and deleted', async () => {
    const created = await json('queue', 'create', 'q.all', '--max-attempts', '7')
    expect(created).toMatchObject({ id: expect.stringMatching(/^\d+$/), name: 'q.all', maxAttempts: 7 })
    expect(await json('queue', 'create', 'q.all')).toEqual(created)
    expect(await run('queue', 'create', 'q.all', '--max-attempts', '8')).toMatchObject({ code: 1 })
    expect(await json('queue', 'list')).toContainEqual(created)
    expect((await run('queue', 'list')).stdout).toMatch(
      /^ID +NAME +MAX ATTEMPTS +ON SUCCESS +RETENTION +DEAD RETENTION +PAUSED SINCE +CREATED\n/,
    )
    await json('message', 'send', 'q.all', '1')
    await json('message', 'send', 'q.all', '2', '--delay', '60')
    expect(await json('queue', 'metrics', 'q.all')).toMatchObject({
      name: 'q.all',
      pendingCount: 1,
      delayedCount: 1,
      totalCount: 2,
    })
    expect(await json('queue', 'metrics')).toContainEqual(expect.objectContaining({ name: 'q.all' }))
    expect((await run('queue', 'metrics', 'q.all')).stdout).toMatch(/^QUEUE +READY +LEASED +DELAYED +DEAD/)
    expect(failed(await run('queue', 'delete', 'q.all'))).toMatchObject({ code: 1, stdout: '' })
    expect(await json('queue', 'purge', 'q.all')).toEqual({ queue: 'q.all', purged: 2 })
    expect(await json('queue', 'delete', 'q.all')).toEqual({ queue: 'q.all', deleted: true })
    await json('queue', 'create', 'q.all')
    await json('message', 'send', 'q.all', '3')
    expect((await run('queue', 'delete', 'q.all', '--force')).stdout).toBe('Queue q.all is deleted.\n')
  })

  test('an empty list is [] in JSON and (none) in a table', async () => {
    const { dsn } = await freshDatabase({ installed: true })
    expect((await pgqrs(['queue', 'list', '--format', 'json'], { dsn })).stdout).toBe('[]\n')
    expect((await pgqrs(['queue', 'list'], { dsn })).stdout).toBe('(none)\n')
    expect((await pgqrs(['worker', 'list', '--format', 'json'], { dsn })).stdout).toBe('[]\n')
    expect((await pgqrs(['queue', 'metrics', '--format', 'json'], { dsn })).stdout).toBe('[]\n')
  })
})

describe('message', () => {
  test('a message is sent with its options, read under a lease, shown, released and counted', async () => {
    await json('queue', 'create', 'm.read')
    const sent = await json(
      ...['message', 'send', 'm.read', '{"type":"hello","n":1}', '--priority', '-5'],
      ...['--headers', '{"trace":"t1"}', '--max-attempts', '2'],
    )
    expect(sent).toMatchObject({
      payload: { type: 'hello', n: 1 },
      headers: { trace: 't1' },
      priority: -5,
      maxAttempts: 2,
    })
    expect(sent.id).toMatch(/^\d+$/)
    await json('message', 'send', 'm.read', '{"message_type":"other"}')
    expect(await json('message', 'count', 'm.read')).toEqual({ queue: 'm.read', state: 'ready', count: 2 })
    expect((await run('message', 'count', 'm.read')).stdout).toBe('2\n')

    const [other, ...no] = await json('message', 'read', 'm.read', '--message-type', 'other')
    expect([other.payload, no]).toEqual([{ message_type: 'other' }, []])
    const [leased] = await json('message', 'read', 'm.read', '--count', '1', '--lock-time', '2m')
    expect(leased).toMatchObject({ id: sent.id, attempt: 1 })
    expect(Date.parse(leased.leasedUntil) - Date.parse(leased.dequeuedAt)).toBeGreaterThan(110_000)
    expect(await json('message', 'show', 'm.read', sent.id)).toEqual(leased)
    expect(await json('message', 'release', 'm.read', sent.id)).toMatchObject({ released: true })
    const again = failed(await run('message', 'release', 'm.read', sent.id))
    expect(again).toMatchObject({
      code: 1,
      stderr: [`error: Message ${sent.id} is held by nobody.`, /hint/, ''],
    })
    const [twice] = await json('message', 'read', 'm.read', '--count', '1', '--lock-time', '60')
    expect(twice).toMatchObject({ id: sent.id, attempt: 2, givenBack: 1 })
    await json('message', 'release', 'm.read', sent.id, '--delay', '1h')
    const shown = await json('message', 'show', 'm.read', sent.id)
    expect(shown.leasedUntil).toBe(null)
    expect(Date.parse(shown.dueAt) - Date.parse(twice.dequeuedAt)).toBeGreaterThan(3_500_000)
  })

  test('read without a count takes the configured batch, under the configured lease', async () => {
    await json('queue', 'create', 'm.defaults')
    await pgqrs(['message', 'send', 'm.defaults', '--file', '-'], {
      dsn: database.dsn,
      stdin: '1\n2\n3\n4\n',
    })
    const env = { PGQRS_DEFAULT_BATCH_SIZE: '3', PGQRS_DEFAULT_LOCK_TIME: '300' }
    const read = await pgqrs(['message', 'read', 'm.defaults', '--format', 'json'], {
      dsn: database.dsn,
      env,
    })
    const messages = read.json() as { payload: number; leasedUntil: string; dequeuedAt: string }[]
    expect(messages.map(({ payload }) => payload)).toEqual([1, 2, 3])
    for (const { leasedUntil, dequeuedAt } of messages)
      expect(Date.parse(leasedUntil) - Date.parse(dequeuedAt)).toBeGreaterThan(290_000)
  })

  test('--delay and --at put a message off, one or the other', async () => {
    await json('queue', 'create', 'm.later')
    const delayed = await json('message', 'send', 'm.later', '{}', '--delay', '30')
    expect(Date.parse(delayed.dueAt) - Date.parse(delayed.enqueuedAt)).toBe(30_000)
    const at = await json('message', 'send', 'm.later', '{}', '--at', '2099-01-31T12:00:00+01:00')
    expect(at.dueAt).toBe('2099-01-31T11:00:00.000Z')
    expect(await json('message', 'read', 'm.later')).toEqual([])
    const both = await run('message', 'send', 'm.later', '{}', '--at', '2099-01-31', '--delay', '5m')
    expect(both).toMatchObject({ code: 2, stdout: '' })
  })

  test('dequeue shows the next message and archives it, or with --delete drops it', async () => {
    await json('queue', 'create', 'm.take')
    const first = await json('message', 'send', 'm.take', '"first"')
    const second = await json('message', 'send', 'm.take', '"second"')
    expect(await json('message', 'dequeue', 'm.take')).toMatchObject({ id: first.id, payload: 'first' })
    expect(await json('message', 'show', 'm.take', first.id, '--archive')).toMatchObject({
      outcome: 'archived',
      processingDuration: expect.any(Number),
    })
    const table = await run('message', 'dequeue', 'm.take', '--delete')
    expect(table).toMatchObject({ code: 0, stderr: '' })
    expect(table.stdout).toContain('"second"')
    expect(await run('message', 'show', 'm.take', second.id, '--archive')).toMatchObject({ code: 1 })
    const empty = await run('message', 'dequeue', 'm.take')
    expect(empty).toMatchObject({ code: 0, stdout: '', stderr: 'No message of the queue m.take is ready.\n' })
    expect((await run('message', 'dequeue', 'm.take', '--format', 'json')).stdout).toBe('null\n')
  })

  test('an operator deletes and archives by id what nobody holds, and by force what somebody holds', async () => {
    await json('queue', 'create', 'm.operate')
    await json('queue', 'create', 'm.else')
    const ids: string[] = []
    for (const n of [1, 2, 3, 4]) ids.push((await json('message', 'send', 'm.operate', `${n}`)).id)
    const [held1 = '', held2 = '', free1 = '', free2 = ''] = ids
    await json('message', 'read', 'm.operate', '--count', '2', '--lock-time', '10m')
    const refused = failed(await run('message', 'delete', 'm.operate', held1))
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: [/held/, /^hint: .*--force/, ''] })
    expect(await run('message', 'archive', 'm.operate', held2)).toMatchObject({ code: 1 })
    const wrong = failed(await run('message', 'delete', 'm.else', free1, '--force'))
    expect(wrong).toMatchObject({
      code: 1,
      stderr: [/^error: There is no message \d+ in the queue m.else/, /hint/, ''],
    })
    expect(await json('message', 'delete', 'm.operate', free1)).toMatchObject({ id: free1, deleted: true })
    expect(await json('message', 'delete', 'm.operate', held1, '--force')).toMatchObject({ deleted: true })
    expect((await run('message', 'archive', 'm.operate', held2, '--force')).stdout).toContain('is archived')
    expect(await json('archive', 'm.operate', free2, '--by', 'ada')).toMatchObject({ archivedBy: 'ada' })
    const gone = failed(await run('message', 'show', 'm.operate', free2))
    expect(gone).toMatchObject({ code: 1, stderr: [/no message/, /^hint: It is settled: .*--archive/, ''] })
    expect(await json('message', 'count', 'm.operate', '--archive')).toMatchObject({ count: 2 })
  })
})

describe('archive', () => {
  test('what is archived is listed by page, the most recent first, read, counted and purged', async () => {
    await json('queue', 'create', 'a.list')
    for (const n of [1, 2, 3]) await json('message', 'send', 'a.list', `{"type":"t${n}"}`)
    for (const _ of [1, 2, 3]) await json('message', 'dequeue', 'a.list')
    const types = (rows: { payload: { type: string } }[]) => rows.map(({ payload }) => payload.type)
    expect(types(await json('archive', 'list', 'a.list'))).toEqual(['t3', 't2', 't1'])
    expect(types(await json('archive', 'list', 'a.list', '--limit', '1', '--offset', '1'))).toEqual(['t2'])
    const read = ['message', 'read', 'a.list', '--archive']
    expect(types(await json(...read, '--count', '2'))).toEqual(['t3', 't2'])
    expect(types(await json(...read, '--limit', '1', '--offset', '2'))).toEqual(['t1'])
    expect(types(await json(...read, '--message-type', 't1'))).toEqual(['t1'])
    expect((await run('archive', 'list', 'a.list')).stdout).toMatch(/^ID +OUTCOME +PAYLOAD/)
    expect(await json('archive', 'purge', 'a.list')).toEqual({ queue: 'a.list', purged: 3 })
    expect(await json(...read)).toEqual([])
  })

  test('dead letters are listed, counted, kept by a purge, and put back', async () => {
    await json('queue', 'create', 'a.dead')
    await using front = await connect(database.dsn)
    const consumer = front.consumer('a.dead')
    const ids: string[] = []
    for (const n of [1, 2, 3]) {
      ids.push((await front.producer('a.dead').enqueue(n)).id)
      await consumer.fail((await consumer.dequeue())!, new Error(`no ${n}`), { dead: true })
    }
    const [one = '', two = ''] = ids
    expect((await json('archive', 'list', 'a.dead', '--dead', '--limit', '2')).length).toBe(2)
    expect(await json('message', 'count', 'a.dead', '--dead')).toMatchObject({ count: 3 })
    expect(await json('archive', 'purge', 'a.dead')).toMatchObject({ purged: 0 })
    expect(await json('message', 'redrive', 'a.dead', one)).toEqual({
      queue: 'a.dead',
      redriven: 1,
      ids: [one],
    })
    const partly = await run('message', 'redrive', 'a.dead', one, two, '--format', 'json')
    expect(partly.code).toBe(1)
    expect(partly.json()).toMatchObject({ ids: [two] })
    expect(partly.stderr).toContain(`No dead letters of the queue a.dead: ${one}.`)
    expect((await run('message', 'redrive', 'a.dead', '--limit', '5')).stdout).toContain(
      'Put 1 dead letter back',
    )
    expect(await json('message', 'redrive', 'a.dead')).toMatchObject({ redriven: 0 })
    await consumer.fail((await consumer.dequeue())!, 'again', { dead: true })
    expect(await json('archive', 'purge', 'a.dead', '--dead')).toMatchObject({ purged: 1 })
  })
})

describe('worker', () => {
  test('workers are listed with their queue, told dead from alive, released, stopped and purged', async () => {
    await json('queue', 'create', 'w.one')
    await json('queue', 'create', 'w.two')
    await using front = await connect(database.dsn)
    const ada = await front.admin.workers.register('w.one', { name: 'ada' })
    await front.admin.workers.register('w.two', { name: 'bob' })
    expect(await json('worker', 'list')).toHaveLength(2)
    expect(await json('worker', 'list', '--queue', 'w.one')).toMatchObject([
      { id: ada.id, queue: 'w.one', name: 'ada', state: 'ready' },
    ])
    expect(await json('worker', 'list', '--limit', '1', '--offset', '1')).toMatchObject([{ name: 'bob' }])
    expect(await json('worker', 'health', '--queue', 'w.one')).toMatchObject([{ name: 'ada', alive: true }])
    expect(await json('worker', 'health', '--stale-after', '0')).toMatchObject([{ alive: false }, {}])
    expect((await run('worker', 'health')).stdout).toMatch(/ALIVE +LAST HEARTBEAT\n/)

    await front.producer('w.one').enqueue(1)
    await front.consumer('w.one', { workerId: ada.id, lease: '10m' }).dequeue()
    const alive = failed(await run('worker', 'release', ada.id))
    expect(alive).toMatchObject({ code: 1, stderr: [/is alive/, /hint/, ''] })
    expect(await json('worker', 'release', ada.id, '--force')).toEqual({ worker: ada.id, released: 1 })
    expect(await json('message', 'count', 'w.one')).toMatchObject({ count: 1 })
    const stopped = await json('worker', 'stop', ada.id, '--now')
    expect(stopped).toMatchObject({ state: 'stopped', queue: 'w.one' })
    expect(await json('worker', 'purge', '--older-than', '1d')).toEqual({ purged: 0 })
    expect(await json('worker', 'purge', '--older-than', '0', '--queue', 'w.one')).toEqual({ purged: 1 })
    expect(await run('worker', 'stop', '999999')).toMatchObject({ code: 1 })
  })
})
