// The archive in partitions: what they cost a settle and a look-up, what retention costs by emptying a partition and by
// deleting rows, and how long settles wait while the upkeep runs. `npx tsx bench/upkeep.ts [rounds]`
import { argv } from 'node:process'
import type pg from 'pg'
import { inTurns, onServer, show } from './measure.js'

const rounds = Number(argv[2] ?? 3)
const messages = 20_000
const payload = { to: 'ada@example.com', template: 'welcome', note: 'x'.repeat(40) }

await onServer(async (pgqrs, pool) => {
  await pgqrs.admin.createQueue('bench')
  const producer = pgqrs.producer('bench')
  const consumer = pgqrs.consumer('bench', { lease: '5m' })
  const fill = async (count: number) => {
    const batch = Array.from({ length: 1_000 }, () => payload)
    for (let done = 0; done < count; done += batch.length) await producer.batchEnqueue(batch)
  }
  const drain = async () => {
    await pool.query('truncate pgqrs_messages, pgqrs_archive')
    await fill(messages)
    await pool.query('vacuum analyze pgqrs_messages')
    const begun = performance.now()
    for (;;) {
      const claimed = await consumer.dequeueBatch(500)
      if (claimed.length === 0) break
      await consumer.archiveBatch(claimed)
    }
    return (messages / (performance.now() - begun)) * 1_000
  }
  const lookUp = async () => {
    await old(pool, 1_000, '1 minute')
    const { rows } = await pool.query('select id from pgqrs_archive limit 200')
    const begun = performance.now()
    for (const { id } of rows) await pool.query('select * from pgqrs_archive where id = $1', [id])
    return ((performance.now() - begun) / rows.length) * 1_000
  }

  const counts = [0, 4, 30, 60, 120]
  const withParts = (work: () => Promise<number>) =>
    Object.fromEntries(
      counts.map((count) => [
        count === 0 ? 'the default partition alone' : `${count} partitions`,
        async () => {
          await partitions(pool, count)
          return work()
        },
      ]),
    )
  show('claim 500, archive', await inTurns(rounds, withParts(drain)), 'messages/s')
  show('an archived message by its id', await inTurns(rounds, withParts(lookUp)), 'µs')

  const expired = async (how: 'empty' | 'delete') => {
    await pool.query('truncate pgqrs_messages, pgqrs_archive')
    await partitions(pool, 40)
    await old(pool, 200_000, '30 days')
    await pool.query('vacuum analyze pgqrs_archive')
    const lsn = (await pool.query('select pg_current_wal_insert_lsn() as lsn')).rows[0].lsn
    const begun = performance.now()
    if (how === 'delete') {
      let left = 1
      while (left > 0) {
        const done = await pool.query(`delete from pgqrs_archive where ctid = any (array(
          select ctid from pgqrs_archive_29 where archived_at < now() limit 10000))`)
        left = done.rowCount ?? 0
      }
    } else await pool.query(`select pgqrs_archive_empty('pgqrs_archive_29')`)
    const ms = performance.now() - begun
    const { rows } = await pool.query(
      'select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::bigint as wal',
      [lsn],
    )
    wal[how] = Number(rows[0].wal)
    return ms
  }
  const wal: Record<string, number> = {}
  await pgqrs.admin.updateQueue('bench', { retention: '7d' })
  const gone = {
    'by emptying the partition': () => expired('empty'),
    'by deleting, 10,000 rows a step': () => expired('delete'),
  }
  show('200,000 archived messages gone', await inTurns(rounds, gone), 'ms')
  console.log(`  WAL: ${wal.empty?.toLocaleString('en')} and ${wal.delete?.toLocaleString('en')} bytes`)

  for (const with_ of ['without', 'with'] as const) {
    const waits: number[] = []
    await pool.query('truncate pgqrs_messages, pgqrs_archive')
    await partitions(pool, 60)
    for (let day = 10; day < 50; day += 2) await old(pool, 20_000, `${day} days`)
    await fill(2_000)
    let over = false
    const worker = async () => {
      while (!over) {
        const [message] = await producer.batchEnqueue([payload])
        const claimed = await consumer.dequeue()
        const begun = performance.now()
        if (claimed !== null && message) await consumer.archive(claimed)
        waits.push(performance.now() - begun)
      }
    }
    const load = Promise.all(Array.from({ length: 8 }, worker))
    const begun = performance.now()
    let steps = 0
    if (with_ === 'with') steps = (await pgqrs.admin.upkeep()).steps.length
    while (performance.now() - begun < 8_000) await new Promise((done) => setTimeout(done, 50))
    over = true
    await load
    const sorted = waits.toSorted((a, b) => a - b)
    const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]?.toFixed(1)
    console.log(
      `settles one by one, 8 at once, ${with_} an upkeep of ${steps} steps: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms, of ${waits.length}`,
    )
  }
})

/** So many partitions of a day each, the last of them today's; none but the default one where it is 0. */
async function partitions(pool: pg.Pool, count: number): Promise<void> {
  await pool.query('truncate pgqrs_archive')
  await pool.query(`do $$
    declare v_one record; v_day timestamptz := date_trunc('day', clock_timestamp(), 'UTC') - ${count} * interval '1 day';
    begin
      for v_one in select name from pgqrs_archive_partitions() loop execute format('drop table %I', v_one.name); end loop;
      if ${count} > 0 then
        perform pgqrs_archive_attach('-infinity', v_day);
        for n in 1 .. ${count} + 2 loop
          execute format('alter table %I rename to %I', pgqrs_archive_attach(v_day, v_day + interval '1 day'), 'pgqrs_archive_' || ${count} - n);
          v_day := v_day + interval '1 day';
        end loop;
      end if;
    end $$`)
}

async function old(pool: pg.Pool, count: number, age: string): Promise<void> {
  await pool.query(
    `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, payload)
     select n, (select id from pgqrs_queues where name = 'bench'), now(), now(), now() - $1::interval - n * interval '10 us', $2
     from generate_series(1, $3::int) n`,
    [age, payload, count],
  )
}
