// 10: many queues, one worker.
import { setTimeout as pause } from 'node:timers/promises'
import { drain } from '../drain.js'
import { bounded, type Scenario, within } from '../scenario.js'
import type { Stage } from '../stage.js'

export const manyQueues: Scenario = {
  number: 10,
  name: '1,000 queues, one worker for all',
  measures:
    'The same number of messages in one queue and spread over 1,000, each worked off by one worker; then the worker is idle on its 1,000 empty queues and its statements are counted.',
  units: { rate: 'messages/s', one: 'messages/s', idle: 'statements/s' },
  systems: ['pgqrs', 'graphile-worker-best'],
  asked: [
    within(['rate', 'one'], { text: "of one queue's rate", atLeast: 0.8 }),
    bounded('idle', { text: 'statements a second when idle', atMost: 2 }),
  ],
  alone: true,
  async run(stage) {
    const queues = stage.size(1_000, 200)
    const messages = stage.size(100_000, 30_000)
    await stage.fill(messages)
    const { rate: one } = await drain(stage, { messages })
    const filler = await stage.open(queues)
    const each = Math.ceil(messages / queues)
    for (let queue = 0; queue < queues; queue++) {
      await filler.enqueueBatch?.(new Array(each).fill(stage.payload), { queue })
      stage.progress(0.3 + (0.3 * queue) / queues)
    }
    await filler.tidy?.()
    await stage.close(filler)
    const { rate, costs } = await drain(stage, { messages: each * queues, queues })
    const idle = await idleStatements(stage, queues)
    return { values: { rate, one, ...(idle === null ? {} : { idle }) }, costs }
  },
}

async function idleStatements(stage: Stage, queues: number): Promise<number | null> {
  const system = await stage.open(queues)
  await system.work?.(() => {}, { queues })
  // What it does once when it begins is not what idling costs; what it does now and then is, upkeep included.
  await pause(3_000)
  const seconds = stage.seconds(30, 30)
  await stage.meter.begin(system.counters)
  await pause(seconds * 1_000)
  stage.meter.stop()
  const { statements } = await stage.meter.costs(seconds, system.counters, { stillOpen: true })
  await stage.close(system)
  return statements
}
