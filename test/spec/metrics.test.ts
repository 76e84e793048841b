// Metrics of deep queues: exact up to a limit, near to it beyond, and in a time that does not grow with the backlog.

import { describe, expect, test } from 'vitest'
import { Database } from '../../src/database/database.js'
import { spec } from '../harness/spec.js'

const it = spec()

/** Ready, delayed and leased live messages; archived and dead ones. */
async function filled(counts: {
  ready: number
  delayed: number
  leased: number
  archived: number
  dead: number
}) {
  const name = await it.newQueue()
  const { id } = await it.admin.getQueue(name)
  const live = (count: number, due: string, lease: string) =>
    it.sql(`insert into pgqrs_messages (queue_id, priority, due_at, leased_until, attempt, payload)
      select ${id}, n % 3, clock_timestamp() ${due}, ${lease}, 1, '1' from generate_series(1, ${count}) n`)
  await live(counts.leased, "- interval '2 hours'", "clock_timestamp() + interval '1 hour'")
  await live(counts.ready, "- interval '1 hour'", 'null')
  await live(counts.delayed, "+ interval '1 hour'", 'null')
  for (const outcome of ['archived', 'dead'] as const)
    await it.sql(`insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, outcome, payload)
      select n, ${id}, now(), now(), now() - n * interval '1 s', '${outcome}', '1' from generate_series(1, ${counts[outcome]}) n`)
  await it.sql('analyze pgqrs_messages, pgqrs_archive')
  return name
}

const counted = async (name: string, limit: number) => {
  const [row] = await Database.of(it.admin.pool).run('queueMetrics', [name, limit])
  const { pending, leased, delayed, dead, archived, estimated } = row ?? {}
  return {
    pending: Number(pending),
    leased: Number(leased),
    delayed: Number(delayed),
    dead: Number(dead),
    archived: Number(archived),
    estimated,
    age: Number(row?.oldest_pending_age_ms),
  }
}

describe('metrics', () => {
  const counts = { ready: 6_000, delayed: 3_000, leased: 90, archived: 8_000, dead: 50 }
  const exact = { pending: 6_000, leased: 90, delayed: 3_000, dead: 50, archived: 8_000, estimated: false }

  test('are exact, and say so, while there are no more than are counted', async () => {
    const name = await filled(counts)
    expect(await counted(name, 10_000)).toMatchObject(exact)
    expect(await it.admin.queueMetrics(name)).toMatchObject({ pendingCount: 6_000, estimated: false })
  })

  test('are near beyond that, and say so; or exact when they are asked to be', async () => {
    const name = await filled(counts)
    await filled({ ...counts, ready: 12_000, delayed: 6_000 })
    const near = await counted(name, 1_000)
    expect(near).toMatchObject({ leased: 90, dead: 50, estimated: true })
    const off = (a: number, b: number) => Math.abs(a / b - 1)
    expect(off(near.pending, 6_000)).toBeLessThan(0.25)
    expect(off(near.delayed, 3_000)).toBeLessThan(0.25)
    expect(off(near.archived, 8_000)).toBeLessThan(0.25)
    expect(near.age).toBeGreaterThan(3_500_000)
    // What is delayed is counted by itself.
    expect(await counted(name, 5_000)).toMatchObject({ delayed: 3_000, leased: 90, estimated: true })
    expect(await it.admin.queueMetrics(name, { exact: true })).toMatchObject({
      pendingCount: 6_000,
      leasedCount: 90,
      delayedCount: 3_000,
      deadCount: 50,
      archivedCount: 8_000,
      estimated: false,
    })
  })

  test('do not take one queue for another: where all is delayed, nothing is said to be ready, and the other way round', async () => {
    const delayed = await filled({ ready: 0, delayed: 12_000, leased: 5, archived: 0, dead: 0 })
    const ready = await filled({ ready: 12_000, delayed: 0, leased: 0, archived: 0, dead: 0 })
    expect(await counted(delayed, 1_000)).toMatchObject({ pending: 0, leased: 5, estimated: true, age: 0 })
    expect((await counted(delayed, 1_000)).delayed).toBeGreaterThan(9_000)
    expect(await counted(ready, 1_000)).toMatchObject({ delayed: 0, leased: 0, estimated: true })
    expect((await counted(ready, 1_000)).pending).toBeGreaterThan(9_000)
  })

  test('are never below what was counted, whatever the statistics say', async () => {
    const name = await filled(counts)
    await it.sql(
      'delete from pg_statistic where starelid = any (select oid from pg_class where relname like $1)',
      ['pgqrs%'],
    )
    const found = await counted(name, 1_000)
    expect(found.pending + found.leased + found.delayed).toBeGreaterThanOrEqual(1_000)
    expect(found.archived + found.dead).toBeGreaterThanOrEqual(1_000)
  })

  test('read no more of a queue than they count', async () => {
    const name = await filled({ ready: 50_000, delayed: 0, leased: 0, archived: 0, dead: 0 })
    const read = async () => {
      await it.sql('select pg_stat_force_next_flush()')
      const [row] = await it.sql<{ n: string }>(
        `select idx_tup_fetch + seq_tup_read as n from pg_stat_all_tables where relname = 'pgqrs_messages'`,
      )
      return Number(row?.n)
    }
    const client = await it.outside.connect()
    try {
      const before = await read()
      await client.query('select * from pgqrs_queue_metrics($1, 100)', [name])
      await client.query('select pg_stat_force_next_flush()')
      expect((await read()) - before).toBeLessThan(50_000)
    } finally {
      client.release()
    }
  })

  test('refuse an option that is none', async () => {
    const name = await it.newQueue()
    await expect(it.admin.queueMetrics(name, { exakt: true } as never)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })
})
