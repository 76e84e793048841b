// Somebody's transaction stays open with an old snapshot while messages come and go: what a claim costs then.
// `npx tsx bench/old-snapshot.ts [seconds] [messages a second]`
import { argv } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { onServer } from './measure.js'

const seconds = Number(argv[2] ?? 60)
const perSecond = Number(argv[3] ?? 5_000)
const tick = 20

await onServer(async (pgqrs, pool) => {
  await pgqrs.admin.createQueue('bench')
  const producer = pgqrs.producer('bench')
  const consumer = pgqrs.consumer('bench', { lease: '5m' })
  const snapshot = await pool.connect()
  await snapshot.query('begin isolation level repeatable read')
  await snapshot.query('select count(*) from pgqrs_messages')

  const begun = performance.now()
  const elapsed = () => performance.now() - begun
  const latencies: { at: number; ms: number }[] = []
  const claims: { at: number; ms: number }[] = []
  let sent = 0
  const producing = (async () => {
    while (elapsed() < seconds * 1_000) {
      const due = Math.floor((elapsed() / 1_000) * perSecond) - sent
      if (due > 0)
        await producer.batchEnqueue(new Array(Math.min(due, 2_000)).fill({ n: 1, note: 'x'.repeat(80) }))
      sent += Math.max(0, Math.min(due, 2_000))
      await pause(tick)
    }
  })()
  let settled = 0
  let done = false
  void producing.then(() => {
    done = true
  })
  while (!done || settled < sent) {
    const asked = performance.now()
    const messages = await consumer.dequeueBatch(500)
    claims.push({ at: elapsed(), ms: performance.now() - asked })
    for (const m of messages)
      latencies.push({ at: elapsed(), ms: (m.dequeuedAt as Date).getTime() - m.enqueuedAt.getTime() })
    if (messages.length > 0) settled += (await consumer.deleteBatch(messages)).filter(Boolean).length
    else await pause(2)
  }
  await producing
  await snapshot.query('rollback')
  snapshot.release()

  const at = (values: number[], part: number) =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN
  console.log(`sent ${sent}, settled ${settled} in ${Math.round(elapsed() / 1_000)} s`)
  for (let from = 0; from < seconds; from += seconds / 6) {
    const within = <T extends { at: number; ms: number }>(list: T[]) =>
      list.filter((x) => x.at >= from * 1_000 && x.at < (from + seconds / 6) * 1_000).map((x) => x.ms)
    const waits = within(latencies)
    const looks = within(claims)
    console.log(
      `  from ${Math.round(from)} s: ${Math.round(waits.length / (seconds / 6))}/s, wait p50 ${at(waits, 0.5)} p95 ${at(waits, 0.95)} p99 ${at(waits, 0.99)} ms; a claim p50 ${at(looks, 0.5).toFixed(1)} p95 ${at(looks, 0.95).toFixed(1)} ms`,
    )
  }
})
