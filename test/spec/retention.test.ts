// What is archived is kept for as long as its queue says, and leaves by whole partitions. Settles go on meanwhile.

import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect, type Pgqrs, type PgqrsAdmin } from '../../src/index.js'
import { freshDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'
import { startProcess } from '../harness/processes.js'
import type { UpkeepProgram } from '../programs/upkeep.js'

interface Own {
  pgqrs: Pgqrs
  admin: PgqrsAdmin
  directDsn: string
  sql<Row = Record<string, string>>(text: string, values?: unknown[]): Promise<Row[]>
  /** A session of somebody else's. */
  other(): Promise<pg.Client>
  /** Archived messages that are so old, all of them a millisecond apart. */
  archived(queue: string, count: number, age: string, outcome?: 'archived' | 'dead'): Promise<void>
  /** How many of a queue are in the archive, by outcome. */
  left(queue: string): Promise<{ archived: number; dead: number }>
  partitions(): Promise<{ name: string; rows: number }[]>
}

async function own(): Promise<Own> {
  const { dsn, directDsn } = await freshDatabase({ installed: true })
  const pgqrs = await connect(dsn)
  onTestFinished(() => pgqrs.close())
  const pool = new pg.Pool({ connectionString: directDsn, max: 4 })
  pool.on('error', () => {})
  onTestFinished(() => pool.end())
  const sql: Own['sql'] = async (text, values) => (await pool.query(text, values)).rows
  return {
    pgqrs,
    admin: pgqrs.admin,
    directDsn,
    sql,
    async other() {
      const client = new pg.Client({ connectionString: directDsn })
      client.on('error', () => {})
      await client.connect()
      onTestFinished(() => client.end())
      return client
    },
    async archived(queue, count, age, outcome = 'archived') {
      await sql(
        `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, outcome, payload, last_error)
         select nextval(pg_get_serial_sequence('pgqrs_messages', 'id')), (select id from pgqrs_queues where name = $1),
           now(), now(), clock_timestamp() - $2::interval - n * interval '1 ms', $3, '{"to": "ada@example.com"}', 'why'
         from generate_series(1, $4::int) n`,
        [queue, age, outcome, count],
      )
    },
    async left(queue) {
      const [row] = await sql<{ archived: string; dead: string }>(
        `select count(*) filter (where outcome = 'archived') as archived, count(*) filter (where outcome = 'dead') as dead
         from pgqrs_archive where queue_id = (select id from pgqrs_queues where name = $1)`,
        [queue],
      )
      return { archived: Number(row?.archived), dead: Number(row?.dead) }
    },
    async partitions() {
      const found = await sql<{ name: string }>('select name from pgqrs_archive_partitions()')
      return Promise.all(
        found.map(async ({ name }) => {
          const [row] = await sql<{ count: string }>(`select count(*) from ${name}`)
          return { name, rows: Number(row?.count) }
        }),
      )
    },
  }
}

const whatOf = ({ steps }: { steps: readonly { what: string }[] }) => steps.map(({ what }) => what)

/** Partitions by the day from so many days ago on, as they would be there after these days. */
async function withDays({ sql }: Own, days: number): Promise<void> {
  await sql(`do $$
    declare v_day timestamptz := date_trunc('day', clock_timestamp(), 'UTC') - ${days} * interval '1 day'; v_one record;
    begin
      for v_one in select name from pgqrs_archive_partitions() loop
        execute format('drop table %I', v_one.name);
      end loop;
      perform pgqrs_archive_attach('-infinity', v_day);
      while v_day < clock_timestamp() + interval '3 days' loop
        perform pgqrs_archive_attach(v_day, v_day + interval '1 day');
        v_day := v_day + interval '1 day';
      end loop;
    end $$`)
}

describe('the retention of a queue', () => {
  test('is null unless it is given: what is archived stays until it is purged', async () => {
    const it = await own()
    expect(await it.admin.createQueue('q')).toMatchObject({ retention: null, deadRetention: null })
    await it.archived('q', 10, '10 years')
    expect((await it.admin.upkeep()).outcome).toBe('done')
    expect(await it.left('q')).toEqual({ archived: 10, dead: 0 })
  })

  test('is said at creation or later, in any unit, and taken away by null', async () => {
    const { admin } = await own()
    expect(await admin.createQueue('q', { retention: '30d' })).toMatchObject({ retention: 2_592_000_000 })
    expect(await admin.createQueue('q', { retention: '720h' })).toMatchObject({ retention: 2_592_000_000 })
    await expect(admin.createQueue('q', { retention: '31d' })).rejects.toMatchObject({
      code: 'QUEUE_EXISTS',
      hint: expect.stringContaining('updateQueue'),
    })
    await expect(admin.createQueue('q', { retention: null })).rejects.toMatchObject({ code: 'QUEUE_EXISTS' })
    expect(await admin.updateQueue('q', { deadRetention: '1w', maxAttempts: 9 })).toMatchObject({
      retention: 2_592_000_000,
      deadRetention: 604_800_000,
      maxAttempts: 9,
      onSuccess: 'archive',
    })
    expect(await admin.updateQueue('q', { retention: null })).toMatchObject({
      retention: null,
      deadRetention: 604_800_000,
    })
    expect(await admin.getQueue('q')).toMatchObject({ retention: null, deadRetention: 604_800_000 })
  })

  test('is refused where it is none: less than a minute, negative, no time, of no queue', async () => {
    const { admin, sql } = await own()
    await admin.createQueue('q')
    for (const retention of ['59s', -1, 'long', Number.NaN, '200000w'])
      await expect(admin.updateQueue('q', { retention: retention as never })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        message: expect.stringContaining('retention'),
      })
    await expect(admin.updateQueue('q', { retained: '1d' } as never)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await expect(admin.updateQueue('none', { retention: '1d' })).rejects.toMatchObject({
      code: 'QUEUE_NOT_FOUND',
    })
    await expect(sql("update pgqrs_queues set retention = '1 s'")).rejects.toThrow('retention_check')
  })
})

describe('the upkeep', () => {
  test('takes away what is beyond its retention, and nothing that is not', async () => {
    const it = await own()
    await it.admin.createQueue('q', { retention: '30d' })
    await it.archived('q', 3_000, '39 days')
    await it.archived('q', 3_000, '29 days')
    await it.admin.upkeep()
    expect(await it.left('q')).toEqual({ archived: 3_000, dead: 0 })
  })

  test('drops 200,000 archived messages of a partition in the time of a few, and gives the disk back', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('q', { retention: '30d' })
    await it.archived('q', 200_000, '35 days')
    const size = async () =>
      Number(
        (await it.sql('select sum(pg_total_relation_size(oid)) as size from pgqrs_archive_partitions()'))[0]
          ?.size,
      )
    const before = await size()
    const report = await it.admin.upkeep()
    expect(report.outcome).toBe('done')
    expect(whatOf(report)).toContain('empty')
    expect(whatOf(report)).not.toContain('delete')
    expect(await it.left('q')).toEqual({ archived: 0, dead: 0 })
    expect(await size()).toBeLessThan(before / 20)
    // The partitions that are empty do not stay either.
    expect(whatOf(report)).toContain('join')
    expect((await it.partitions()).length).toBeLessThan(40)
  })

  test('keeps dead letters, which can be redriven, until the time that the queue says for them', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('q', { retention: '7d' })
    await it.archived('q', 5_000, '35 days')
    await it.archived('q', 20, '35 days', 'dead')
    await it.admin.upkeep()
    expect(await it.left('q')).toEqual({ archived: 0, dead: 20 })
    expect(await it.admin.deadLetters.count('q')).toBe(20)
    expect((await it.admin.deadLetters.redrive('q', { limit: 5 })).length).toBe(5)
    expect(await it.left('q')).toEqual({ archived: 0, dead: 15 })
    await it.admin.updateQueue('q', { deadRetention: '20d' })
    await it.admin.upkeep()
    expect(await it.left('q')).toEqual({ archived: 0, dead: 0 })
  })

  test('of queues with different retentions in one partition keeps to each', async () => {
    const it = await own()
    await withDays(it, 30)
    await it.admin.createQueue('days', { retention: '7d' })
    await it.admin.createQueue('year', { retention: '365d' })
    await it.admin.createQueue('ever')
    for (const queue of ['days', 'year', 'ever'])
      for (const age of ['5 days', '20 days', '470 days']) await it.archived(queue, 2_500, age)
    const report = await it.admin.upkeep()
    expect(report.outcome).toBe('done')
    // Where thousands of others stay, they are deleted, in steps.
    expect(whatOf(report)).toContain('delete')
    expect(await it.left('days')).toEqual({ archived: 2_500, dead: 0 })
    expect(await it.left('year')).toEqual({ archived: 5_000, dead: 0 })
    expect(await it.left('ever')).toEqual({ archived: 7_500, dead: 0 })
  })

  test('of a queue that keeps little writes that anew, whole, and empties the rest', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('days', { retention: '7d' })
    await it.admin.createQueue('ever')
    await it.archived('days', 10_000, '20 days')
    await it.archived('ever', 100, '20 days')
    const rows = () =>
      it.sql(
        `select * from pgqrs_archive where queue_id = (select id from pgqrs_queues where name = 'ever') order by id`,
      )
    const before = await rows()
    const report = await it.admin.upkeep()
    expect(whatOf(report)).not.toContain('delete')
    expect(await it.left('days')).toEqual({ archived: 0, dead: 0 })
    expect(await rows()).toEqual(before)
  })

  test('a retention that is shortened makes the partitions to come narrower', async () => {
    const it = await own()
    await it.admin.createQueue('q')
    const width = async () =>
      (
        await it.sql(
          `select max(extract(epoch from upper_bound - lower_bound) / 3600)::int as hours
           from pgqrs_archive_partitions() where lower_bound > clock_timestamp() + interval '1 hour'`,
        )
      )[0]?.hours
    expect(await width()).toBe(168)
    await it.admin.updateQueue('q', { retention: '30d' })
    await it.admin.upkeep()
    expect([24, null]).toContain(await width())
    // Whatever was done: no time without a partition, and none with two.
    await expectNoGaps(it)
  })

  test('removes registrations of workers that are gone for long, and none that may be alive', async () => {
    const it = await own()
    await it.admin.createQueue('q')
    const ids = [0, 1, 2, 3].map(() => it.admin.workers.register('q'))
    const [stopped, dead, silent, fresh] = await Promise.all(ids)
    await it.sql(
      `update pgqrs_workers set state = 'stopped', stopped_at = now() - interval '2 days' where id = $1`,
      [stopped!.id],
    )
    await it.sql(
      `update pgqrs_workers set state = 'dead', heartbeat_at = now() - interval '8 days' where id = $1`,
      [dead!.id],
    )
    await it.sql(`update pgqrs_workers set heartbeat_at = now() - interval '8 days' where id = $1`, [
      silent!.id,
    ])
    await it.admin.upkeep()
    expect((await it.admin.workers.list()).map(({ id }) => id).toSorted()).toEqual(
      [silent!.id, fresh!.id].toSorted(),
    )
  })

  test('twice does nothing the second time', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('q', { retention: '7d', deadRetention: '30d' })
    await it.archived('q', 3_000, '20 days')
    await it.archived('q', 3_000, '1 hour')
    await it.archived('q', 30, '20 days', 'dead')
    expect((await it.admin.upkeep()).steps.length).toBeGreaterThan(0)
    expect(await it.admin.upkeep()).toEqual({ outcome: 'done', steps: [] })
    await it.admin.verify()
  })

  test('tells when it was last done, and verify warns when that is more than a day ago', async () => {
    const { admin, sql } = await own()
    expect(await admin.upkeepState()).toMatchObject({ doneAt: null, overdue: false })
    await admin.upkeep()
    expect(await admin.upkeepState()).toMatchObject({ doneAt: expect.any(Date), overdue: false })
    expect((await admin.verify()).warnings).toEqual([])
    await sql(`update pgqrs_upkeep set done_at = done_at - interval '25 hours'`)
    expect(await admin.upkeepState()).toMatchObject({ overdue: true })
    expect((await admin.verify()).warnings).toEqual([expect.stringContaining('pgqrs upkeep')])
  })
})

describe('the default partition', () => {
  /** As 0.4.0 left it: all rows in the one partition that there was. */
  async function oneForAll(it: Own): Promise<void> {
    await it.sql(`do $$ declare v_one record; begin
      for v_one in select name from pgqrs_archive_partitions() loop execute format('drop table %I', v_one.name); end loop;
    end $$`)
  }

  test('with rows of an older release becomes a partition, and its rows expire like others', async () => {
    const it = await own()
    await oneForAll(it)
    await it.admin.createQueue('q', { retention: '30d' })
    await it.archived('q', 3_000, '60 days')
    await it.archived('q', 3_000, '1 day')
    await it.archived('q', 3, '60 days', 'dead')
    const report = await it.admin.upkeep()
    expect(whatOf(report)).toContain('close')
    expect(report.outcome).toBe('done')
    expect(await it.left('q')).toEqual({ archived: 3_000, dead: 3 })
    expect((await it.sql('select count(*)::int as n from pgqrs_archive_default'))[0]?.n).toBe(0)
    await expectNoGaps(it)
    await it.admin.verify()
  })

  test('that is large becomes one without being looked through under a lock', {
    timeout: 120_000,
  }, async () => {
    const it = await own()
    await oneForAll(it)
    await it.admin.createQueue('q')
    await it.archived('q', 250_000, '60 days')
    const report = await it.admin.upkeep()
    expect(whatOf(report).filter((what) => what !== 'create')).toEqual(['mark', 'validate', 'close'])
    expect(report.outcome).toBe('done')
    expect(await it.left('q')).toEqual({ archived: 250_000, dead: 0 })
    await expectNoGaps(it)
    // Nothing of it stays that could refuse a settle.
    expect(await it.sql(`select from pg_constraint where conname like '%until%'`)).toEqual([])
  })

  test('that is left half closed by a process that died is closed by the next, or let go in time', async () => {
    const it = await own()
    await oneForAll(it)
    await it.admin.createQueue('q')
    await it.archived('q', 250_000, '60 days')
    await it.sql(`select pgqrs_upkeep_step('{}')`)
    const marked = async () =>
      it.sql(`select from pg_constraint where conname = 'pgqrs_archive_default_until'`)
    expect(await marked()).toHaveLength(1)
    // Half a day before settles would be refused, nobody having come by.
    await it.sql(`update pgqrs_upkeep set default_until = clock_timestamp() + interval '11 hours'`)
    const [step] = await it.sql(`select what from pgqrs_upkeep_step('{}')`)
    expect(step?.what).toBe('unmark')
    expect(await marked()).toHaveLength(0)
    expect((await it.admin.upkeep()).outcome).toBe('done')
    await expectNoGaps(it)
  })

  test('takes what comes when nobody has made partitions for long, and is emptied by the next upkeep', async () => {
    const it = await own()
    await it.sql(`do $$ declare v_one record; begin
      for v_one in select name from pgqrs_archive_partitions() where name <> 'pgqrs_archive_oldest' loop
        execute format('drop table %I', v_one.name); end loop; end $$`)
    const queue = await it.admin.createQueue('q')
    await queue.enqueue(1)
    const [message] = await queue.read(1)
    expect(await queue.archive(message!)).toBe(true)
    expect((await it.sql('select count(*)::int as n from pgqrs_archive_default'))[0]?.n).toBe(1)
    expect((await it.admin.upkeep()).outcome).toBe('done')
    expect((await it.sql('select count(*)::int as n from pgqrs_archive_default'))[0]?.n).toBe(0)
    expect(await it.left('q')).toEqual({ archived: 1, dead: 0 })
    await expectNoGaps(it)
  })
})

describe('while others work', () => {
  const settle = async ({ pgqrs }: Own, queue: string) => {
    await pgqrs.producer(queue).enqueue(1)
    const message = await pgqrs.consumer(queue).dequeue()
    return pgqrs.consumer(queue).archive(message!)
  }

  test('a lock that somebody holds on the archive makes it give up, not wait; settles go on, and later it is done', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('q', { retention: '7d' })
    await it.archived('q', 3_000, '20 days')
    const other = await it.other()
    await other.query('begin')
    await other.query('select count(*) from pgqrs_archive')
    const report = it.admin.upkeep()
    let slowest = 0
    let done = false
    const over = () => {
      done = true
    }
    report.then(over, over)
    while (!done) {
      const begun = performance.now()
      expect(await settle(it, 'q')).toBe(true)
      slowest = Math.max(slowest, performance.now() - begun)
    }
    const { outcome, steps } = await report
    expect(outcome).toBe('unfinished')
    expect(steps.filter(({ trouble }) => trouble === 'locked').length).toBeGreaterThan(0)
    expect(slowest).toBeLessThan(1_000)
    expect((await it.left('q')).archived).toBeGreaterThan(3_000)
    await other.query('commit')
    expect((await it.admin.upkeep()).outcome).toBe('done')
    expect((await it.admin.upkeepState()).doneAt).not.toBeNull()
  })

  test('one session at a time does it: the others say so and leave', async () => {
    const it = await own()
    const other = await it.other()
    await other.query('begin')
    await other.query(`select pgqrs_upkeep_step('{}')`)
    expect(await it.admin.upkeep()).toEqual({ outcome: 'busy', steps: [] })
    await other.query('commit')
    expect((await it.admin.upkeep()).outcome).toBe('done')
  })

  test('of several workers, in processes of their own, each step is done once', {
    timeout: 120_000,
  }, async () => {
    const it = await own()
    await withDays(it, 60)
    await it.admin.createQueue('q', { retention: '7d' })
    for (const age of ['20 days', '30 days', '40 days', '50 days']) await it.archived('q', 3_000, age)
    const programs = Array.from({ length: 4 }, () =>
      startProcess<UpkeepProgram>('../programs/upkeep.ts', import.meta.url, { args: [it.directDsn] }),
    )
    for (const program of programs) await program.next((said) => 'ready' in said)
    await eventually(async () => (await it.left('q')).archived === 0, { timeoutMs: 30_000 })
    await eventually(async () => (await it.admin.upkeepState()).doneAt !== null)
    for (const program of programs) program.tell('stop')
    for (const program of programs) await program.exited()
    const errors = programs.flatMap(({ said }) => said.filter((one) => 'error' in one))
    expect(errors).toEqual([])
    await expectNoGaps(it)
    await it.admin.verify()
  })

  test('a worker does it by itself, and leaves it where another has done it', async () => {
    const it = await own()
    await withDays(it, 40)
    await it.admin.createQueue('q', { retention: '7d' })
    await it.archived('q', 3_000, '20 days')
    const worker = it.pgqrs.worker('q', async () => {}, { upkeep: '1s', listen: false })
    onTestFinished(() => worker.stop())
    await eventually(async () => (await it.left('q')).archived === 0)
    await eventually(async () => (await it.admin.upkeepState()).doneAt !== null)
  })

  test('a worker that may not, because its schema is of an older release, says so and goes on', async () => {
    const it = await own()
    await it.admin.createQueue('q')
    await it.sql('drop function pgqrs_upkeep_step')
    const worker = it.pgqrs.worker('q', async () => {}, { upkeep: '1s', listen: false })
    onTestFinished(() => worker.stop())
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    await eventually(() => errors.length > 0)
    const { id } = await it.pgqrs.producer('q').enqueue(1)
    await it.pgqrs.result(id)
    expect(errors).toHaveLength(1)
  })
})

/** Every time up to the last partition is in exactly one of them. */
async function expectNoGaps({ sql }: Own): Promise<void> {
  const gaps = await sql(
    `select * from (
      select lower_bound, lag(upper_bound) over (order by lower_bound) as before from pgqrs_archive_partitions()
    ) p where before is distinct from lower_bound and lower_bound <> '-infinity'`,
  )
  expect(gaps).toEqual([])
  const [first] = await sql(`select 1 as ok from pgqrs_archive_partitions() where lower_bound = '-infinity'`)
  expect(first).toBeDefined()
  const [last] = await sql(
    `select 1 as ok from pgqrs_archive_partitions() where upper_bound > clock_timestamp() + interval '1 day'`,
  )
  expect(last).toBeDefined()
}
