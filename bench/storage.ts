// The storage by itself, one process: enqueue, claim, settle. `npx tsx bench/storage.ts [rounds]`
import { argv } from 'node:process'
import { inTurns, onServer, show, spreadOf, walOf } from './measure.js'

const hotUpdates = `select n_tup_hot_upd::int as hot, n_tup_upd::int as all
  from pg_stat_user_tables where relname = 'pgqrs_messages'`
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
  const clear = async () => {
    await pool.query('truncate pgqrs_messages, pgqrs_archive')
  }
  const rate = async (count: number, work: () => Promise<unknown>) => {
    const begun = performance.now()
    await work()
    return (count / (performance.now() - begun)) * 1_000
  }
  const drain = async (size: number, claimers: number, settle: 'archiveBatch' | 'deleteBatch' | 'fail') => {
    await clear()
    await fill(messages)
    await pool.query('vacuum analyze pgqrs_messages')
    return rate(messages, () =>
      Promise.all(
        Array.from({ length: claimers }, async () => {
          for (;;) {
            const claimed = await consumer.dequeueBatch(size)
            if (claimed.length === 0) return
            if (settle === 'fail')
              await Promise.all(claimed.map((m) => consumer.fail(m, 'no', { delay: '1h' })))
            else await consumer[settle](claimed)
          }
        }),
      ),
    )
  }

  const enqueues = await inTurns(rounds, {
    'batches of 1,000': async () => {
      await clear()
      return rate(messages, () => fill(messages))
    },
    '32 at once, each awaited': async () => {
      await clear()
      return rate(messages, () =>
        Promise.all(
          Array.from({ length: 32 }, async () => {
            for (let i = 0; i < messages / 32; i++) await producer.enqueue(payload)
          }),
        ),
      )
    },
    'one after the other': async () => {
      await clear()
      return rate(2_000, async () => {
        for (let i = 0; i < 2_000; i++) await producer.enqueue(payload)
      })
    },
  })
  show('enqueue', enqueues, 'messages/s')

  const drains = await inTurns(rounds, {
    'claim 500, delete': () => drain(500, 1, 'deleteBatch'),
    'claim 500, archive': () => drain(500, 1, 'archiveBatch'),
    '2 claim 500, delete': () => drain(500, 2, 'deleteBatch'),
    '8 claim 100, delete': () => drain(100, 8, 'deleteBatch'),
    'claim 500, fail with retry': () => drain(500, 1, 'fail'),
  })
  show('claim and settle', drains, 'messages/s')

  await clear()
  await fill(2_000)
  const single: number[] = []
  for (let i = 0; i < 1_000; i++) {
    const begun = performance.now()
    const message = await consumer.dequeue()
    single.push((performance.now() - begun) * 1_000)
    if (message) await consumer.delete(message)
  }
  show('one dequeue out of 2,000', { 'round trip and commit included': spreadOf(single) }, 'µs')

  for (const settle of ['deleteBatch', 'archiveBatch'] as const) {
    await clear()
    await fill(messages)
    await pool.query('checkpoint')
    const before = (await pool.query(hotUpdates)).rows[0]
    const bytes = await walOf(pool, async () => {
      for (;;) {
        const claimed = await consumer.dequeueBatch(500)
        if (claimed.length === 0) return
        await consumer[settle](claimed)
      }
    })
    await pool.query('select pg_stat_force_next_flush()')
    const after = (await pool.query(hotUpdates)).rows[0]
    console.log(
      `\n${settle}: ${Math.round(bytes / messages)} WAL bytes a message; HOT ${after.hot - before.hot} of ${after.all - before.all} claims`,
    )
  }
})
