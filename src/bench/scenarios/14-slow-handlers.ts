// 14: handlers that take their time.
import { drain } from '../drain.js'
import { type Scenario, within } from '../scenario.js'
import type { Outcome } from '../stage.js'

export const slowHandlers: Scenario = {
  number: 14,
  name: 'handlers of 1 ms and 100 ms, concurrency 100',
  measures:
    'Handlers that wait, and beside them the same number of loops that wait without any queue: the handlers’ own limit.',
  units: { rate1: 'messages/s', limit1: 'messages/s', rate100: 'messages/s', limit100: 'messages/s' },
  systems: ['pgqrs', 'graphile-worker-best', 'pg-boss-best', 'bullmq-best', 'bullmq-postgres-best'],
  asked: [
    within(['rate1', 'limit1'], { text: "of the handlers' own limit, 1 ms", atLeast: 0.9 }),
    within(['rate100', 'limit100'], { text: "of the handlers' own limit, 100 ms", atLeast: 0.9 }),
  ],
  alone: true,
  async run(stage) {
    const values: Record<string, number> = {}
    let costs: Outcome['costs']
    for (const [name, ms, full, least] of [
      ['1', 1, 100_000, 30_000],
      ['100', 100, 10_000, 3_000],
    ] as const) {
      const handler = () => new Promise<void>((resolve) => setTimeout(resolve, ms))
      const count = stage.size(full, least)
      // The handlers themselves, and some time.
      const limitMs = (1.2 * count * ms) / 100 + stage.seconds(8, 4) * 1_000
      values[`limit${name}`] = await limitOf(handler, 100, Math.min(1_000, stage.seconds(2) * 500))
      await stage.fill(count)
      const drained = await drain(stage, { messages: count, handler, concurrency: 100, limitMs })
      values[`rate${name}`] = drained.rate
      costs = drained.costs
    }
    return { values, costs }
  },
}

/** Calls for each second of so many loops that do nothing but call it. */
async function limitOf(handler: () => Promise<void>, loops: number, ms: number): Promise<number> {
  const begun = performance.now()
  let called = 0
  await Promise.all(
    Array.from({ length: loops }, async () => {
      while (performance.now() - begun < ms) {
        await handler()
        called += 1
      }
    }),
  )
  return (called / (performance.now() - begun)) * 1_000
}
