// 11: many consumers on one queue.
import { setTimeout as pause } from 'node:timers/promises'
import { type Scenario, within } from '../scenario.js'
import type { Outcome, Stage } from '../stage.js'

/** Consumers, and over how many processes they are spread. */
const crowds = [
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 8],
  [16, 8],
  [32, 8],
] as const

export const crowd: Scenario = {
  number: 11,
  name: '1 to 8 processes, 1 to 32 consumers on one queue',
  measures:
    'The same backlog is worked off by 1, 2, 4, 8, 16 and 32 workers in 1 to 8 processes, from the moment at which all of them are let loose to the last acknowledged settle. Where no further processes can be started, all in one.',
  units: Object.fromEntries([
    ...crowds.map(([consumers]) => [`at${consumers}`, 'messages/s']),
    ['peak', 'messages/s'],
  ]),
  systems: ['pgqrs', 'graphile-worker-best', 'pg-boss-best', 'bullmq-best'],
  asked: [within(['at32', 'peak'], { text: 'of the peak at 32 consumers', atLeast: 0.8 })],
  alone: true,
  async run(stage) {
    const values: Record<string, number> = {}
    let costs: Outcome['costs']
    const messages = stage.size(100_000, 40_000)
    for (const [n, [consumers, processes]] of crowds.entries()) {
      await stage.fill(messages)
      await stage.meter.begin()
      const { settled, ms } = await workTogether(stage, processes, consumers / processes, messages)
      values[`at${consumers}`] = (settled / ms) * 1_000
      // In the end, those of the largest crowd.
      costs = await stage.meter.costs(settled)
      stage.progress((n + 1) / crowds.length)
    }
    values.peak = Math.max(...Object.values(values))
    return { values, costs }
  },
}

interface Together {
  settled: number
  ms: number
}

async function workTogether(
  stage: Stage,
  processes: number,
  workersEach: number,
  messages: number,
): Promise<Together> {
  const limitMs = Math.max(5, stage.seconds(20, 6)) * 1_000
  if (stage.crew !== undefined) {
    const { clientSeconds, ...together } = await stage.crew({ processes, workersEach, messages, limitMs })
    stage.meter.stop(clientSeconds)
    return together
  }
  const systems = await Promise.all(Array.from({ length: processes * workersEach }, () => stage.open()))
  const begun = performance.now()
  await Promise.all(systems.map((system) => system.work?.(() => {})))
  let settled = 0
  while (settled < messages && performance.now() - begun < limitMs) {
    await pause(10)
    const each = await Promise.all(systems.map((system) => system.settled?.(messages) ?? 0))
    settled = each.reduce((sum, one) => sum + one, 0)
    stage.progress(0)
  }
  const ms = performance.now() - begun
  stage.meter.stop()
  await Promise.all(systems.map((system) => stage.close(system)))
  return { settled, ms }
}
