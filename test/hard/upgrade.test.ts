// The schema is brought up to date under what is in it, and under workers of the release before that run on.

import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect, PgqrsAdmin } from '../../src/index.js'
import { freshDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'
import { installVersion, newestVersion } from '../harness/older-schema.js'
import { startProcess, type TestProcess } from '../harness/processes.js'
import type { InstallProgram } from '../programs/install.js'
import type { OldWorkerReport, OldWorkerSays } from '../releases/0.4.0/worker.js'

/** The newest version that 0.4.0 knows. */
const old = 2
/** No call of a running worker may be kept waiting for so long. */
const stallMs = 1_000

async function databaseAt(version: number) {
  const { directDsn } = await freshDatabase()
  const client = new pg.Client({ connectionString: directDsn })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end())
  await installVersion(client, version)
  const admin = async () => {
    const made = await PgqrsAdmin.connect(directDsn)
    onTestFinished(() => made.close())
    return made
  }
  const another = async () => {
    const other = new pg.Client({ connectionString: directDsn })
    other.on('error', () => {})
    await other.connect()
    onTestFinished(() => other.end())
    return other
  }
  return { dsn: directDsn, client, admin, another }
}

type Opened = Awaited<ReturnType<typeof databaseAt>>

async function fill({ client }: Opened): Promise<void> {
  await client.query(`
    insert into pgqrs_queues (name, max_attempts) values ('q', 3), ('other', 5);
    insert into pgqrs_workers (queue_id, hostname) select id, 'h' from pgqrs_queues;
    insert into pgqrs_messages (queue_id, payload, priority, due_at, headers)
      select q.id, jsonb_build_object('n', n), n % 3, now() + (n % 2) * interval '1 hour', '{"h": 1}'
      from pgqrs_queues q, generate_series(1, 500) n;
    insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, outcome, payload, result, last_error)
      select 100000 + n, q.id, now(), now(), now() - n * interval '1 hour', case n % 10 when 0 then 'dead' else 'archived' end,
        jsonb_build_object('n', n), '{"r": 1}', 'why'
      from pgqrs_queues q, generate_series(1, 2000) n`)
}

/** All that was stored, but for what a newer version adds. */
async function stored({ client }: Opened) {
  const all = async (table: string, columns: string) =>
    (await client.query(`select ${columns} from ${table} order by 1, 2`)).rows
  return {
    queues: await all('pgqrs_queues', 'id, name, max_attempts, on_success, paused_at, created_at'),
    messages: await all('pgqrs_messages', 'id, queue_id, due_at, priority, attempt, payload, headers'),
    archive: await all('pgqrs_archive', 'id, queue_id, archived_at, outcome, payload, result, last_error'),
    workers: await all('pgqrs_workers', 'id, queue_id, hostname, state, heartbeat_at'),
  }
}

describe('an upgrade', () => {
  test.each(Array.from({ length: newestVersion - 1 }, (_, n) => n + 1))(
    'from version %i keeps all that is there, and it works on',
    async (version) => {
      const opened = await databaseAt(version)
      await fill(opened)
      const before = await stored(opened)
      const admin = await opened.admin()
      expect((await admin.install()).applied).toEqual(
        Array.from({ length: newestVersion - version }, (_, n) => version + n + 1),
      )
      expect(await stored(opened)).toEqual(before)
      await admin.verify()
      expect((await admin.upkeep()).outcome).toBe('done')
      expect(await stored(opened)).toEqual(before)
      const queue = await admin.getQueue('q')
      const [message] = await queue.read(1)
      expect(await queue.archive(message!)).toBe(true)
      expect(await admin.deadLetters.count('q')).toBe(200)
      expect(await admin.deadLetters.redrive('q', { limit: 10 })).toHaveLength(10)
      await admin.verify()
    },
  )
})

type OldWorker = TestProcess<OldWorkerSays>

async function oldWorkers({ dsn, client }: Opened, count: number): Promise<OldWorker[]> {
  await client.query(`insert into pgqrs_queues (name, max_attempts) values ('q', 100)`)
  const workers = Array.from({ length: count }, () =>
    startProcess<OldWorkerSays>('../releases/0.4.0/worker.ts', import.meta.url, {
      args: [dsn, 'q'],
      timeoutMs: 60_000,
    }),
  )
  for (const worker of workers) await worker.next((said) => 'ready' in said)
  await busy(workers)
  return workers
}

/** Waits until each has claimed fifty times more. */
async function busy(workers: readonly OldWorker[]): Promise<void> {
  for (const worker of workers) {
    const claims = worker.said.filter((said) => 'claims' in said).length
    await eventually(() => worker.said.filter((said) => 'claims' in said).length > claims, {
      timeoutMs: 60_000,
    })
  }
}

async function stopped(workers: readonly OldWorker[]): Promise<OldWorkerReport[]> {
  for (const worker of workers) worker.tell('stop')
  return Promise.all(
    workers.map(async (worker) => {
      const said = await worker.next((one) => 'report' in one)
      return 'report' in said ? said.report : (said as never)
    }),
  )
}

/** Every message that was acknowledged is settled once, or is still there. */
async function expectNothingLost({ client }: Opened, reports: readonly OldWorkerReport[]): Promise<void> {
  const settled = reports.flatMap(({ archived, deleted }) => [...archived, ...deleted])
  expect(new Set(settled).size).toBe(settled.length)
  const { rows } = await client.query('select id from pgqrs_messages union all select id from pgqrs_archive')
  const there = new Set([...rows.map(({ id }) => id), ...reports.flatMap(({ deleted }) => deleted)])
  expect(reports.flatMap(({ enqueued }) => enqueued).filter((id) => !there.has(id))).toEqual([])
}

describe('while workers of the release before run', { timeout: 240_000 }, () => {
  test('two installs at once bring it up to date, one does it, and nobody waits for a second', async () => {
    const opened = await databaseAt(old)
    const workers = await oldWorkers(opened, 2)
    // Somebody's long transaction that has enqueued, and keeps its locks.
    const long = await opened.another()
    await long.query(`begin; select pgqrs_enqueue('q', '1')`)
    const installers = [1, 2].map(() =>
      startProcess<InstallProgram>('../programs/install.ts', import.meta.url, {
        args: [opened.dsn, 'public'],
        timeoutMs: 100_000,
      }),
    )
    for (const one of installers) await one.next((said) => 'ready' in said)
    for (const one of installers) one.tell('go')
    await eventually(() => waiting(opened), { timeoutMs: 30_000, what: 'an install that waits for a lock' })
    await busy(workers)
    await long.query('commit')
    const answers = await Promise.all(installers.map((one) => one.next()))
    expect(answers.map((one) => ('applied' in one ? one.applied.length : one)).toSorted()).toEqual([
      0,
      newestVersion - old,
    ])
    await busy(workers)

    // The new release beside the old one.
    const pgqrs = await connect(opened.dsn)
    onTestFinished(() => pgqrs.close())
    const worker = pgqrs.worker('q', async () => {}, { concurrency: 5 })
    await eventually(() => worker.counters.succeeded > 0)
    await busy(workers)
    const reports = await stopped(workers)
    await worker.idle()
    await worker.stop()
    for (const { errors, longestMs, longestCall, retried, released } of reports) {
      expect(errors).toEqual([])
      expect({ longestCall, fast: longestMs < stallMs, longestMs }).toMatchObject({ fast: true })
      expect(retried + released).toBeGreaterThan(0)
    }
    await expectNothingLost(opened, reports)
    await (await opened.admin()).verify()
  })

  test('an install that is killed in the middle changes nothing, and is done by the next', async () => {
    const opened = await databaseAt(old)
    const workers = await oldWorkers(opened, 1)
    const long = await opened.another()
    await long.query(`begin; select pgqrs_enqueue('q', '1')`)
    const installer = startProcess<InstallProgram>('../programs/install.ts', import.meta.url, {
      args: [opened.dsn, 'public'],
    })
    await installer.next((said) => 'ready' in said)
    installer.tell('go')
    // With the functions of the new version made, and not committed.
    await eventually(() => waiting(opened), { timeoutMs: 30_000 })
    installer.kill('SIGKILL')
    await installer.exited()
    await busy(workers)
    const { rows } = await opened.client.query('select max(version) as version from pgqrs_migrations')
    expect(rows[0].version).toBe(old)
    await long.query('commit')
    const admin = await opened.admin()
    expect((await admin.install()).version).toBe(newestVersion)
    await busy(workers)
    const reports = await stopped(workers)
    expect(reports.flatMap(({ errors }) => errors)).toEqual([])
    await expectNothingLost(opened, reports)
    await admin.verify()
  })

  test('an install that never gets its locks gives up in time, changes nothing, and says what to do', async () => {
    const opened = await databaseAt(old)
    const workers = await oldWorkers(opened, 1)
    const long = await opened.another()
    await long.query(`begin; select pgqrs_enqueue('q', '1')`)
    const admin = await opened.admin()
    await expect(admin.install({ timeout: '3s' })).rejects.toMatchObject({
      code: 'DATABASE_TIMEOUT',
      hint: expect.stringContaining('pg_stat_activity'),
    })
    const { rows } = await opened.client.query('select max(version) as version from pgqrs_migrations')
    expect(rows[0].version).toBe(old)
    const [report] = await stopped(workers)
    expect(report?.errors).toEqual([])
    expect(report?.longestMs).toBeLessThan(stallMs)
  })

  test('an install that waits for its locks without a limit would keep them waiting, which is seen', async () => {
    const opened = await databaseAt(old)
    const workers = await oldWorkers(opened, 1)
    const long = await opened.another()
    await long.query(`begin; select pgqrs_enqueue('q', '1')`)
    const bad = await opened.another()
    const altered = bad.query('alter table pgqrs_queues add column mine int')
    await eventually(() => waiting(opened))
    await new Promise((done) => setTimeout(done, stallMs + 200))
    await long.query('commit')
    await altered
    const [report] = await stopped(workers)
    expect(report?.longestMs).toBeGreaterThan(stallMs)
  })

  test('the new release that meets the old schema says that it is outdated, and works when it no longer is', async () => {
    const opened = await databaseAt(old)
    await opened.client.query(`insert into pgqrs_queues (name) values ('q')`)
    const admin = await opened.admin()
    await expect(admin.getQueue('q')).rejects.toMatchObject({
      code: 'SCHEMA_OUTDATED',
      hint: expect.stringContaining('pgqrs install'),
    })
    await expect(admin.verify()).rejects.toMatchObject({ code: 'SCHEMA_OUTDATED' })
    await admin.install()
    expect((await admin.getQueue('q')).name).toBe('q')
  })

  test('one that begins after it is refused, as it says that it knows no newer schema', async () => {
    const opened = await databaseAt(old)
    await (await opened.admin()).install()
    const worker = startProcess<OldWorkerSays>('../releases/0.4.0/worker.ts', import.meta.url, {
      args: [opened.dsn, 'q'],
    })
    expect(await worker.next()).toEqual({ refused: newestVersion })
  })
})

async function waiting({ client }: Opened): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_locks where not granted and mode = 'AccessExclusiveLock' and relation = 'pgqrs_queues'::regclass`,
  )
  return rowCount !== 0
}
