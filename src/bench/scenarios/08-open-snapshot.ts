// 8: somebody's transaction stays open while messages come and go.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../../database/database.js'
import { closed } from '../drain.js'
import { bounded, type Scenario, within } from '../scenario.js'
import { distributionOf, percentileOf } from '../statistics.js'

const perSecond = 5_000
const tickMs = 20

export const openSnapshot: Scenario = {
  number: 8,
  name: 'one open snapshot for two minutes under 5,000 messages/s',
  measures:
    "Somebody's transaction keeps an old snapshot open while 5,000 messages a second come, on the clock, and are worked off by the same process. Latency from the moment at which a message was due to be sent to the call of its handler, whoever was late.",
  units: { held: '', p95: 'ms', first: 'ms', last: 'ms', rate: 'messages/s' },
  systems: ['pgqrs', 'graphile-worker-best', 'pg-boss-best', 'bullmq-postgres-best'],
  asked: [
    bounded('held', { text: 'of what was sent is handled in the last quarter', atLeast: 0.98 }),
    bounded('p95', { text: 'ms, p95 of all', atMost: 10 }),
    within(['last', 'first'], { text: "p95 of the last quarter: the second quarter's", atMost: 1.5 }),
  ],
  // Two minutes each, with half a million latencies.
  mostRounds: 1,
  alone: true,
  async run(stage) {
    const system = await stage.open()
    const seconds = Math.ceil(stage.seconds(120, 12))
    // Wound up, connected and known to the planner before the clock starts.
    const samples: number[][] = []
    let begun = Number.POSITIVE_INFINITY
    let called = 0
    await system.work?.(({ at = 0 }) => {
      const now = performance.now()
      called += 1
      const second = Math.floor((now - begun) / 1_000)
      if (second < 0) return
      samples[second] ??= []
      samples[second].push(now - at)
    })
    const send = async (count: number, at: number) => {
      await system.enqueueBatch?.(new Array(count).fill({ ...stage.payload, at }))
    }
    await send(1_000, 0)
    while (called < 1_000) await pause(20)
    await system.tidy?.()
    const snapshot = await holdSnapshot(stage.observer)
    try {
      await stage.meter.begin(system.counters)
      begun = performance.now()
      let sent = 0
      let failed: unknown
      const sending: Promise<void>[] = []
      for (let tick = 1; tick * tickMs <= seconds * 1_000 && failed === undefined; tick++) {
        const at = begun + tick * tickMs
        await pause(Math.max(0, at - performance.now()))
        const count = Math.round((tick * tickMs * perSecond) / 1_000) - sent
        // A system that cannot keep up is not waited for.
        if (performance.now() - begun > seconds * 1_000) break
        // And one that is slow to take messages is not asked to take a thousand batches at once.
        if (sending.length >= 50) await sending.shift()
        sending.push(
          send(count, at).catch((error) => {
            failed = error
          }),
        )
        sent += count
        stage.progress((tick * tickMs) / (seconds * 1_000))
      }
      await Promise.race([Promise.all(sending), pause(2_000)])
      if (failed !== undefined) throw failed
      const until = performance.now() + 2_000
      while (called - 1_000 < sent && performance.now() < until) await pause(10)
      stage.meter.stop()
      // Before the system is closed: what it does to its tables meanwhile, as a REINDEX of pg-boss, may wait for it.
      await snapshot.release()
      const quarter = (n: number) =>
        samples.slice(Math.floor((seconds * n) / 4), Math.floor((seconds * (n + 1)) / 4))
      const p95 = (some: number[][]) =>
        percentileOf(Float64Array.from(some.filter(Boolean).flat()).sort(), 0.95)
      const counts = Array.from({ length: seconds }, (_, n) => samples[n]?.length ?? 0)
      const lastQuarter = quarter(3).reduce((sum, one) => sum + (one?.length ?? 0), 0)
      const expected = quarterSeconds(seconds) * perSecond
      return {
        values: {
          rate: (called - 1_000) / ((performance.now() - begun) / 1_000),
          held: Math.min(1, lastQuarter / expected),
          p95: p95(samples),
          first: p95(quarter(1)),
          last: p95(quarter(3)),
        },
        latency: { 'due to start': distributionOf(samples.filter(Boolean).flat()) },
        series: { rate: counts, p95: Array.from({ length: seconds }, (_, n) => p95([samples[n] ?? []])) },
        costs: await closed(stage, system, sent),
      }
    } finally {
      await snapshot.release()
    }
  },
}

const quarterSeconds = (seconds: number) => seconds - Math.floor((seconds * 3) / 4)

/** A transaction with a snapshot, open until it is released. */
async function holdSnapshot(database: Database) {
  let release = () => {}
  const over = new Promise<void>((resolve) => {
    release = resolve
  })
  let holds = () => {}
  const held = new Promise<void>((resolve) => {
    holds = resolve
  })
  const transaction = database.transaction(async (session) => {
    await session.run('benchRepeatable')
    await session.run('benchSnapshot')
    holds()
    await over
  })
  await Promise.race([held, transaction])
  return {
    async release() {
      release()
      await transaction
    },
  }
}
