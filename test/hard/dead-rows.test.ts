// What was settled since the last vacuum is in the way of every claim from the head of the queue: entries of the index
// that are known to be dead, page after page. A consumer walks over them now and then, not each time.

import pg from 'pg'
import { Consumer } from 'pgqrs'
import { expect, onTestFinished, test } from 'vitest'
import { breakFunction } from '../harness/broken.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'

const settled = 250_000

/** Pages of the index of the order that a hundred claims of ten read, behind many rows that were settled. */
async function pagesRead(own: OwnQueue): Promise<{ whole: number; read: number }> {
  await own.sql('alter table pgqrs_messages set (autovacuum_enabled = off)')
  await own.sql(
    `insert into pgqrs_messages (queue_id, payload) select q.id, '{}' from pgqrs_queues q, generate_series(1, $1)`,
    [settled],
  )
  await own.sql('delete from pgqrs_messages')
  await fill(own, 1_000)
  const [size] = await own.sql<{ pages: number }>(
    `select (pg_relation_size('pgqrs_messages_order') / 8192)::int as pages`,
  )
  const pool = new pg.Pool({ connectionString: own.dsn, max: 1 })
  onTestFinished(() => pool.end())
  const consumer = new Consumer(pool, own.queue)
  const count = async () => {
    // What the one connection has counted is told.
    await pool.query('select pg_stat_force_next_flush()')
    const [row] = await own.sql<{ count: number }>(
      `select sum(idx_blks_read + idx_blks_hit)::int as count from pg_statio_user_indexes
       where indexrelname = 'pgqrs_messages_order'`,
    )
    return row!.count
  }
  // Somebody else finds out that they are dead.
  const first = new Consumer(pool, own.queue)
  await first.deleteBatch(await first.dequeueBatch(10))
  const before = await count()
  for (let n = 0; n < 99; n++) {
    const messages = await consumer.dequeueBatch(10)
    expect(messages).toHaveLength(10)
    await consumer.deleteBatch(messages)
  }
  return { whole: size!.pages, read: (await count()) - before }
}

test('claims pass over what was settled since the last vacuum at most now and then', async () => {
  const { whole, read } = await pagesRead(await ownQueue())
  expect(read).toBeLessThan(20 * whole)
})

test('and a claim that does not count the pages on its way is found out', async () => {
  const own = await ownQueue()
  await breakFunction(own.directDsn, 'pgqrs_claim_batch', '3 * pg_stat_get_xact_blocks_fetched(v_index)', '0')
  const { whole, read } = await pagesRead(own)
  expect(read).toBeGreaterThan(60 * whole)
})
