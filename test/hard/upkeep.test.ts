// While the upkeep runs, and while others hold locks that it wants, settles are answered as ever.

import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { breakFunction } from '../harness/broken.js'
import { eventually } from '../harness/eventually.js'
import { type OwnQueue, ownQueue } from '../harness/own-queue.js'

/** A settle that takes longer was kept waiting. Alone, it takes some milliseconds; on a busy machine, tens. */
const blinkMs = 500

/** An archive with two months of days, in which most is beyond its retention. */
async function monthsOf(own: OwnQueue): Promise<void> {
  await own.pgqrs.admin.updateQueue(own.queue, { retention: '7d' })
  await own.sql(`do $$
    declare v_day timestamptz := date_trunc('day', clock_timestamp(), 'UTC') - interval '60 days'; v_one record;
    begin
      for v_one in select name from pgqrs_archive_partitions() loop execute format('drop table %I', v_one.name); end loop;
      perform pgqrs_archive_attach('-infinity', v_day);
      while v_day < clock_timestamp() + interval '3 days' loop
        perform pgqrs_archive_attach(v_day, v_day + interval '1 day');
        v_day := v_day + interval '1 day';
      end loop;
    end $$`)
  await own.sql(
    `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, outcome, payload)
     select nextval(pg_get_serial_sequence('pgqrs_messages', 'id')), (select id from pgqrs_queues where name = $1),
       now(), now(), now() - n * interval '1 minute', case n % 1000 when 0 then 'dead' else 'archived' end, '1'
     from generate_series(1, 80000) n`,
    [own.queue],
  )
}

/** Settles, four at once, until it is told to stop: how many there were, and how long the longest took. */
function settling({ pgqrs, queue }: OwnQueue) {
  const found = { settles: 0, longestMs: 0 }
  let over = false
  const one = async () => {
    while (!over) {
      await pgqrs.producer(queue).enqueue(1)
      const message = await pgqrs.consumer(queue).dequeue()
      if (message === null) continue
      const begun = performance.now()
      expect(await pgqrs.consumer(queue).archive(message)).toBe(true)
      found.settles += 1
      found.longestMs = Math.max(found.longestMs, performance.now() - begun)
    }
  }
  const all = Promise.all([one(), one(), one(), one()])
  return {
    found,
    async stop() {
      over = true
      await all
      return found
    },
  }
}

/** Somebody's transaction that has looked at the archive, and not at its partitions, and stays open. */
async function reader(own: OwnQueue): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: own.directDsn })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('begin; lock table only pgqrs_archive in access share mode')
  return client
}

describe('settles', { timeout: 120_000 }, () => {
  test('are not kept waiting by an upkeep with much to do, and nothing is lost that is to be kept', async () => {
    const own = await ownQueue()
    await monthsOf(own)
    const load = settling(own)
    const { outcome, steps } = await own.pgqrs.admin.upkeep()
    const { settles, longestMs } = await load.stop()
    expect(outcome).toBe('done')
    const what = new Set(steps.map((step) => step.what))
    expect([...what]).toEqual(expect.arrayContaining(['empty', 'join']))
    expect(settles).toBeGreaterThan(50)
    expect(longestMs).toBeLessThan(blinkMs)
    const [left] = await own.sql<{ dead: string; fresh: string; old: string }>(
      `select count(*) filter (where outcome = 'dead') as dead,
        count(*) filter (where outcome = 'archived' and archived_at < now() - interval '10 days') as old,
        count(*) filter (where outcome = 'archived' and dequeued_at is not null) as fresh
       from pgqrs_archive`,
    )
    expect(left).toEqual({ dead: '80', old: '0', fresh: String(settles) })
  })

  test('are not kept waiting by an upkeep that waits for somebody who holds the archive', async () => {
    const own = await ownQueue()
    await monthsOf(own)
    const client = await reader(own)
    const load = settling(own)
    const { outcome, steps } = await own.pgqrs.admin.upkeep()
    const { longestMs } = await load.stop()
    expect(outcome).toBe('unfinished')
    expect(steps.filter(({ trouble }) => trouble === 'locked').map(({ what }) => what)).toContain('join')
    expect(longestMs).toBeLessThan(blinkMs)
    await client.query('commit')
    expect((await own.pgqrs.admin.upkeep()).outcome).toBe('done')
  })

  test('would be kept waiting by one that waits for its locks, which this test would see', async () => {
    const own = await ownQueue()
    await monthsOf(own)
    await breakFunction(
      own.directDsn,
      'pgqrs_upkeep_step',
      "SET lock_timeout TO '50ms'",
      "SET lock_timeout TO '3s'",
    )
    const client = await reader(own)
    const load = settling(own)
    const upkeep = own.pgqrs.admin.upkeep()
    await eventually(() => load.found.longestMs > blinkMs, { timeoutMs: 60_000 })
    await client.query('commit')
    await upkeep
    await load.stop()
  })
})
