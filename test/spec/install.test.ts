// The schema: put there, brought up to date, and taken away.

import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { migrations } from '../../src/database/sql.generated.js'
import { Config, connect, PgqrsAdmin } from '../../src/index.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'
import { startProcess } from '../harness/processes.js'
import type { InstallProgram } from '../programs/install.js'

let database: TestDatabase
let outside: pg.Client
const admins: PgqrsAdmin[] = []

beforeEach(async () => {
  database = await freshDatabase()
  outside = new pg.Client({ connectionString: database.directDsn })
  await outside.connect()
})
afterEach(async () => {
  for (const admin of admins.splice(0)) await admin.close()
  await outside.end()
})

async function adminOf(schema = 'public', dsn = database.dsn) {
  const admin = await PgqrsAdmin.connect(Config.fromDsnWithSchema(dsn, schema))
  admins.push(admin)
  return admin
}

const leftBehind = `
  select 'table ' || relname as what from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
  union all
  select 'function ' || proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = $1
  union all
  select 'type ' || typname from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = $1`

describe('install', () => {
  test('makes a schema that can be used, and says what it applied', async () => {
    const admin = await adminOf()
    const { version, applied } = await admin.install()
    expect(applied).toEqual(migrations.map((one) => one.version))
    expect(version).toBe(Math.max(...applied))
    expect(await admin.verify()).toEqual({ schema: 'public', version, problems: [], warnings: [] })
  })

  test('twice does nothing the second time, and touches no message', async () => {
    const admin = await adminOf()
    await admin.install()
    const queue = await admin.createQueue('q')
    await queue.enqueue('kept')
    expect((await admin.install()).applied).toEqual([])
    expect((await queue.read())[0]?.payload).toBe('kept')
  })

  test('makes four tables, and three for its own: history, who may do what, the state of the upkeep', async () => {
    const admin = await adminOf()
    await admin.install()
    const { rows } = await outside.query(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`,
    )
    expect(rows.map(({ relname }) => relname)).toEqual([
      'pgqrs_archive',
      'pgqrs_grants',
      'pgqrs_messages',
      'pgqrs_migrations',
      'pgqrs_queues',
      'pgqrs_upkeep',
      'pgqrs_workers',
    ])
    const history = await outside.query('select version, name, checksum, applied_by from pgqrs_migrations')
    for (const row of history.rows)
      expect(row).toMatchObject({
        checksum: expect.stringMatching(/^[0-9a-f]{8,}$/),
        applied_by: expect.stringMatching(/^pgqrs \d/),
      })
  })

  test('into a schema that does not exist gives the statement to run', async () => {
    for (const [schema, statement] of [
      ['app_jobs', 'CREATE SCHEMA app_jobs;'],
      ['App "Jobs"', 'CREATE SCHEMA "App ""Jobs""";'],
    ] as const) {
      const admin = await adminOf(schema)
      const error = await admin.install().catch((error) => error)
      expect(error).toMatchObject({ code: 'SCHEMA_MISSING', hint: expect.stringContaining(statement) })
      await outside.query(statement)
      await admin.install()
      await admin.verify()
    }
  })

  test('makes the schema when it is told to', async () => {
    const admin = await adminOf('made')
    await admin.install({ createSchema: true })
    await admin.install({ createSchema: true })
    expect((await admin.verify()).schema).toBe('made')
  })

  test('started by twenty processes at once is done by one of them, and all succeed', {
    timeout: 120_000,
  }, async () => {
    const processes = Array.from({ length: 20 }, () =>
      startProcess<InstallProgram>('../programs/install.ts', import.meta.url, {
        args: [database.dsn, 'at_once'],
        timeoutMs: 100_000,
      }),
    )
    await Promise.all(processes.map((one) => one.next((said) => 'ready' in said)))
    for (const one of processes) one.tell('go')
    const answers = await Promise.all(processes.map((one) => one.next()))
    const applied = answers.map((answer) => ('applied' in answer ? answer.applied.length : answer))
    await (await adminOf('at_once')).verify()
    expect(applied.toSorted()).toEqual([...new Array(19).fill(0), migrations.length])
  })

  test('that fails leaves nothing: it is one transaction', async () => {
    await outside.query('create table pgqrs_messages (mine int)')
    await expect((await adminOf()).install()).rejects.toMatchObject({ code: 'DATABASE_ERROR' })
    const { rows } = await outside.query(leftBehind, ['public'])
    expect(rows.filter(({ what }) => what.startsWith('table')).map(({ what }) => what)).toEqual([
      'table pgqrs_messages',
    ])
  })

  test('without the right to create says so', async () => {
    await outside.query(`create role "${database.name}" login password 'p'`)
    await outside.query('revoke create on schema public from public')
    const dsn = new URL(database.directDsn)
    dsn.username = database.name
    dsn.password = 'p'
    const admin = await adminOf('public', dsn.href)
    await expect(admin.install()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('Grant'),
    })
    await admin.close()
    admins.pop()
    await outside.query(`drop role "${database.name}"`)
  })
})

describe('a schema that is newer than the library', () => {
  beforeEach(async () => {
    await (await adminOf()).install()
    await outside.query(
      `insert into pgqrs_migrations (version, name, checksum, applied_by) values (99, 'later', 'x', 'pgqrs 7.8.9')`,
    )
  })

  test('is refused by connect, which says what version to install', async () => {
    for (const attempt of [() => connect(database.dsn), () => PgqrsAdmin.connect(database.dsn)])
      await expect(attempt()).rejects.toMatchObject({
        code: 'SCHEMA_NEWER',
        message: expect.stringContaining('99'),
        hint: expect.stringContaining('npm install pgqrs@7.8.9'),
      })
  })

  test('is refused by install and verify of who was connected before', async () => {
    const [admin] = admins
    await expect(admin!.install()).rejects.toMatchObject({ code: 'SCHEMA_NEWER' })
    await expect(admin!.verify()).rejects.toMatchObject({
      details: { problems: [expect.stringContaining('version 99')] },
    })
  })
})

describe('a schema that is newer, and says that this library still works with it', () => {
  const newer = async (...worksWith: number[]) => {
    const admin = await adminOf()
    const { version } = await admin.install()
    for (const [n, works] of worksWith.entries())
      await outside.query(
        `insert into pgqrs_migrations (version, name, checksum, applied_by, works_with) values ($1, 'later', 'x', 'pgqrs 7.8.9', $2)`,
        [version + 1 + n, version + works],
      )
    return version
  }

  test('is worked with: a rolling deploy lets the release before start again', async () => {
    const version = await newer(0, -1)
    await using pgqrs = await connect(database.dsn)
    const queue = await pgqrs.admin.createQueue('q')
    await queue.enqueue(1)
    expect((await queue.read())[0]?.payload).toBe(1)
    expect(await pgqrs.admin.install()).toEqual({ version: version + 2, applied: [] })
  })

  test('is not verified: what it should be like, only the newer one knows', async () => {
    await newer(0)
    await using pgqrs = await connect(database.dsn)
    await expect(pgqrs.admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_NEWER',
      hint: expect.stringContaining('7.8.9'),
    })
  })

  test('is refused where one of the newer steps does not say so', async () => {
    await newer(0, 1)
    await expect(connect(database.dsn)).rejects.toMatchObject({ code: 'SCHEMA_NEWER' })
  })
})

describe('a schema that is not as it was made', () => {
  test('is refused by install: another checksum, or a missing step', async () => {
    const admin = await adminOf()
    await admin.install()
    await outside.query(`update pgqrs_migrations set checksum = 'changed' where version = 1`)
    await expect(admin.install()).rejects.toMatchObject({
      code: 'SCHEMA_DAMAGED',
      message: expect.stringContaining('Migration 1'),
    })
    await outside.query('delete from pgqrs_migrations where version = 1')
    await expect(admin.install()).rejects.toMatchObject({ code: 'SCHEMA_DAMAGED' })
  })
})

describe('before install', () => {
  test('every use says that pgqrs is not installed, and how to install it', async () => {
    const pgqrs = await connect(database.dsn)
    const missing = { code: 'SCHEMA_NOT_INSTALLED', hint: expect.stringContaining('install') }
    await expect(pgqrs.producer('q').enqueue(1)).rejects.toMatchObject(missing)
    await expect(pgqrs.consumer('q').dequeue()).rejects.toMatchObject(missing)
    await expect(pgqrs.admin.createQueue('q')).rejects.toMatchObject(missing)
    await expect(pgqrs.admin.verify()).rejects.toMatchObject(missing)
    await pgqrs.close()
    const elsewhere = await connect(Config.fromDsnWithSchema(database.dsn, 'nowhere'))
    await expect(elsewhere.consumer('q').dequeue()).rejects.toMatchObject(missing)
    await elsewhere.close()
  })
})

describe('uninstall', () => {
  test('leaves nothing behind and keeps the schema', async () => {
    const admin = await adminOf('app')
    await admin.install({ createSchema: true })
    await (await admin.createQueue('q')).enqueue(1)
    expect(await admin.uninstall()).toBe(true)
    expect((await outside.query(leftBehind, ['app'])).rows).toEqual([])
    expect((await outside.query(`select from pg_namespace where nspname = 'app'`)).rowCount).toBe(1)
    await admin.install()
    expect(await admin.listQueues()).toEqual([])
  })

  test('where nothing is installed says so, and does nothing', async () => {
    expect(await (await adminOf()).uninstall()).toBe(false)
    expect(await (await adminOf('nowhere')).uninstall()).toBe(false)
  })

  test('takes nothing that is not of pgqrs', async () => {
    await outside.query(
      `create table mine (id int); create function mine() returns int language sql as 'select 1'`,
    )
    const admin = await adminOf()
    await admin.install()
    await admin.uninstall()
    await outside.query('select mine() from mine')
  })

  test('takes one schema and leaves another in the same database', async () => {
    const [one, other] = [await adminOf('one'), await adminOf('other')]
    for (const admin of [one, other]) await admin.install({ createSchema: true })
    await one.uninstall()
    await other.verify()
  })
})
