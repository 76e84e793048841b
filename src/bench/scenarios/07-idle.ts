// 7: how long a message waits for a worker that has nothing else to do.
import { setTimeout as pause } from 'node:timers/promises'
import { closed } from '../drain.js'
import { type Asked, boss, bullPostgres, graphile, type Reading, type Scenario } from '../scenario.js'
import { distributionOf } from '../statistics.js'

const postgresPeers = [...graphile, ...boss, ...bullPostgres]

/** The number of pgqrs over the smallest of the peers'. */
const belowPeers = (value: string): Asked => ({
  text: `${value}: the best PostgreSQL peer's`,
  atMost: 1,
  of(read: Reading) {
    const own = read('pgqrs', value)
    const others = postgresPeers.map((name) => read(name, value)).filter((one) => one !== null)
    return own === null || others.length === 0 ? null : own / Math.min(...others)
  },
})

export const idle: Scenario = {
  number: 7,
  name: 'idle: enqueue to handler start',
  measures:
    'One message at a time to an idle worker in the same process, 5 to 25 ms apart, from the call of the enqueue to the call of the handler. For the bare table: one INSERT, awaited, which is a round trip and a commit.',
  units: { p50: 'ms', p99: 'ms' },
  systems: ['pgqrs', ...graphile, ...boss, 'bullmq', 'bullmq-best-durable', ...bullPostgres, 'postgres-rows'],
  asked: [
    belowPeers('p50'),
    belowPeers('p99'),
    {
      text: 'median: a round trip and a commit',
      atMost: 2.5,
      of(read) {
        const [own, bare] = [read('pgqrs', 'p50'), read('postgres-rows', 'p50')]
        return own === null || bare === null ? null : own / bare
      },
    },
  ],
  alone: true,
  async run(stage) {
    const system = await stage.open()
    let started = (_: number) => {}
    const works = system.work !== undefined
    await system.work?.(() => started(performance.now()))
    const once = async () => {
      const called = new Promise<number>((resolve) => {
        started = resolve
      })
      const begun = performance.now()
      await system.enqueue?.(stage.payload)
      return (works ? await called : performance.now()) - begun
    }
    const until = performance.now() + stage.seconds(30, 8) * 1_000
    for (let n = 0; n < 20 && performance.now() < until; n++) await once()
    const samples = stage.size(500, 150)
    const times: number[] = []
    await stage.meter.begin(system.counters)
    for (let n = 0; n < samples && (n < 5 || performance.now() < until); n++) {
      times.push(await once())
      await pause(5 + ((n * 7) % 20))
      stage.progress(n / samples)
    }
    stage.meter.stop()
    const latency = distributionOf(times)
    return {
      values: { p50: latency.p50, p99: latency.p99 },
      latency: { 'enqueue to start': latency },
      costs: await closed(stage, system, times.length),
    }
  },
}
