// verify holds the database against what the migrations make, and names what is wrong.

import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Config, PgqrsAdmin, type PgqrsError } from '../../src/index.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'

let database: TestDatabase
let outside: pg.Client
let admin: PgqrsAdmin

beforeEach(async () => {
  database = await freshDatabase({ installed: true })
  outside = new pg.Client({ connectionString: database.directDsn })
  await outside.connect()
  admin = await PgqrsAdmin.connect(database.dsn)
})
afterEach(async () => {
  await admin.close()
  await outside.end()
})

const found = async (): Promise<readonly string[]> => {
  const error = await admin.verify().then(
    () => null,
    (error: PgqrsError) => error,
  )
  return (error?.details.problems as string[] | undefined) ?? []
}

describe('verify', () => {
  test('finds nothing wrong with a fresh installation, nor with one that is in use', async () => {
    expect(await found()).toEqual([])
    const queue = await admin.createQueue('q')
    await queue.batchEnqueue([1, 2, 3])
    const [message] = await queue.read(1)
    await queue.archive(message!)
    await admin.workers.register('q')
    expect(await found()).toEqual([])
  })

  test('finds nothing wrong when somebody has added things of their own', async () => {
    await outside.query(`alter table pgqrs_messages add column mine text;
      create index mine on pgqrs_messages (mine); create table pgqrs_mine (id int)`)
    expect(await found()).toEqual([])
  })

  const damages: [what: string, statement: string, names: string | RegExp][] = [
    ['a column', 'alter table pgqrs_messages drop column headers', 'pgqrs_messages.headers'],
    [
      'the type of a column',
      'alter table pgqrs_messages alter column priority type bigint',
      'pgqrs_messages.priority',
    ],
    ['a not null', 'alter table pgqrs_messages alter column payload drop not null', 'pgqrs_messages.payload'],
    ['the index of the order', 'drop index pgqrs_messages_order', 'pgqrs_messages_order'],
    [
      'the columns of an index',
      'drop index pgqrs_messages_order; create index pgqrs_messages_order on pgqrs_messages (queue_id, id)',
      'pgqrs_messages_order',
    ],
    ['an index of the archive', 'drop index pgqrs_archive_id', 'pgqrs_archive_id'],
    [
      'a trigger',
      'drop trigger pgqrs_messages_queue_insert on pgqrs_messages',
      'pgqrs_messages_queue_insert',
    ],
    [
      'a trigger that is switched off',
      'alter table pgqrs_messages disable trigger all',
      /trigger pgqrs_messages_queue_insert/,
    ],
    [
      'a trigger of a partition that is switched off',
      'alter table pgqrs_archive_default disable trigger all',
      /trigger/,
    ],
    ['a function', 'drop function pgqrs_enqueue', 'pgqrs_enqueue'],
    [
      'the text of a function',
      `do $$ begin execute replace(pg_get_functiondef('pgqrs_delete_held'::regproc), 'm.leased_until is not null', 'true'); end $$`,
      'function pgqrs_delete_held',
    ],
    [
      'the rights with which a function runs',
      'alter function pgqrs_archive_held security definer',
      'function pgqrs_archive_held',
    ],
    ['the settings of a function', 'alter function pgqrs_claim reset enable_sort', 'function pgqrs_claim'],
    [
      'a function of the owner that everybody may call',
      'grant execute on function pgqrs_postpone to public',
      'pgqrs_postpone',
    ],
    [
      'a function that runs with other rights',
      'alter function pgqrs_enqueue_batch security invoker',
      'pgqrs_enqueue_batch',
    ],
    [
      'a check',
      'alter table pgqrs_queues drop constraint pgqrs_queues_name_check',
      'pgqrs_queues_name_check',
    ],
    [
      'a foreign key',
      'alter table pgqrs_workers drop constraint pgqrs_workers_queue_id_fkey',
      'pgqrs_workers_queue_id_fkey',
    ],
    [
      'a primary key',
      'alter table pgqrs_messages drop constraint pgqrs_messages_pkey',
      'pgqrs_messages_pkey',
    ],
    ['the numbering of ids', 'alter table pgqrs_messages alter column id drop identity', 'pgqrs_messages.id'],
    ['a default', 'alter table pgqrs_messages alter column attempt drop default', 'pgqrs_messages.attempt'],
    ['a table', 'drop table pgqrs_workers', 'pgqrs_workers'],
    [
      'the partition that takes what is archived',
      'drop table pgqrs_archive_default',
      'pgqrs_archive_default',
    ],
    [
      'a step of its history',
      'delete from pgqrs_migrations where version = (select max(version) from pgqrs_migrations)',
      /version \d+ of \d+/,
    ],
    ['a checksum', "update pgqrs_migrations set checksum = 'x' where version = 1", 'Migration 1'],
  ]
  test.each(damages)('names %s', async (_, statement, names) => {
    await outside.query(statement)
    const problems = await found()
    expect(problems.join('\n')).toMatch(
      typeof names === 'string' ? new RegExp(names.replaceAll('.', '\\.')) : names,
    )
  })

  test.each([
    ['pgqrs_messages', "insert into pgqrs_messages (queue_id, payload) values (77, '1')"],
    [
      'pgqrs_archive',
      "insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload) values (1, 77, now(), now(), '1')",
    ],
    ['pgqrs_workers', "insert into pgqrs_workers (queue_id, hostname) values (77, 'h')"],
  ])('names a row of %s that points to no queue', async (table, statement) => {
    await admin.createQueue('q')
    await outside.query('set session_replication_role = replica')
    await outside.query(statement)
    expect(await found()).toEqual([expect.stringMatching(new RegExp(`${table}.*77`))])
  })

  test('says all that it found, in one error', async () => {
    await outside.query('drop index pgqrs_archive_id; alter table pgqrs_messages drop column last_error')
    await expect(admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_DAMAGED',
      message: expect.stringContaining('more)'),
      hint: expect.stringMatching(/\w/),
      details: {
        problems: expect.arrayContaining([
          expect.stringContaining('last_error'),
          expect.stringContaining('pgqrs_archive_id'),
        ]),
      },
    })
  })

  test('tells apart: no schema, and not installed', async () => {
    const nowhere = await PgqrsAdmin.connect(Config.fromDsnWithSchema(database.dsn, 'nowhere'))
    await expect(nowhere.verify()).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      hint: expect.stringContaining('CREATE SCHEMA nowhere'),
    })
    await nowhere.close()
    await admin.uninstall()
    await expect(admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_NOT_INSTALLED',
      hint: expect.stringContaining('install'),
    })
  })

  test('looks in its own schema alone', async () => {
    const other = await PgqrsAdmin.connect(Config.fromDsnWithSchema(database.dsn, 'other'))
    await other.install({ createSchema: true })
    await outside.query('drop index other.pgqrs_messages_order')
    expect(await found()).toEqual([])
    await outside.query('drop function public.pgqrs_enqueue')
    await expect(other.verify()).rejects.toMatchObject({
      details: { problems: [expect.stringContaining('pgqrs_messages_order')] },
    })
    await other.close()
  })
})
