// 6: messages come and go at once, as many as there is room for.
import { setTimeout as pause } from 'node:timers/promises'
import { closed } from '../drain.js'
import { type Scenario, times } from '../scenario.js'

const batch = 500
/** So many may be on their way: a system that falls behind is not buried. */
const onTheirWay = 10_000

export const sustained: Scenario = {
  number: 6,
  name: 'enqueue and process at once, sustained 60 s',
  measures:
    'One process enqueues batches of 500 and works them off, with at most 10,000 on their way; what is settled when the time is up counts.',
  units: { rate: 'messages/s' },
  systems: [
    'pgqrs',
    'graphile-worker-best',
    'pg-boss-best',
    'bullmq-best',
    'bullmq-best-durable',
    'bullmq-postgres-best',
  ],
  asked: [
    times(2.5, ['graphile-worker-best'], { text: 'graphile-worker at its best' }),
    times(4, ['pg-boss-best'], { text: 'pg-boss at its best' }),
  ],
  alone: true,
  async run(stage) {
    const system = await stage.open()
    const ms = stage.seconds(60, 5) * 1_000
    const payloads = new Array(batch).fill(stage.payload)
    const perSecond: number[] = []
    let sent = 0
    let called = 0
    await stage.meter.begin(system.counters)
    const begun = performance.now()
    await system.work?.(() => {
      called += 1
      const second = Math.floor((performance.now() - begun) / 1_000)
      perSecond[second] = (perSecond[second] ?? 0) + 1
    })
    while (performance.now() - begun < ms) {
      if (sent - called >= onTheirWay) await pause(1)
      else {
        await system.enqueueBatch?.(payloads)
        sent += batch
      }
      stage.progress((performance.now() - begun) / ms)
    }
    const settled = (await system.settled?.(sent)) ?? 0
    const seconds = (performance.now() - begun) / 1_000
    stage.meter.stop()
    return {
      values: { rate: settled / seconds },
      series: { rate: Array.from(perSecond, (count) => count ?? 0) },
      costs: await closed(stage, system, settled),
    }
  },
}
