// 9: a deep backlog and a long history.
import { type Scenario, within } from '../scenario.js'
import type { Stage } from '../stage.js'
import { type Distribution, distributionOf } from '../statistics.js'

/** Single dequeues, one after the other; each message is settled, off the clock. */
async function dequeues(stage: Stage, count: number): Promise<Distribution> {
  const system = await stage.open()
  const times: number[] = []
  for (let n = 0; n < count + 50; n++) {
    const begun = performance.now()
    const settle = await system.dequeue?.()
    const ms = performance.now() - begun
    if (settle === undefined || settle === null) break
    // The first make connections and plans.
    if (n >= 50) times.push(ms)
    await settle()
  }
  await stage.close(system)
  return distributionOf(times)
}

export const deep: Scenario = {
  number: 9,
  name: '1,000 · 1,000,000 · 5,000,000 ready, 1,000,000 delayed, 10,000,000 archived',
  measures:
    'The time of one dequeue() of one message, 2,000 times at each depth (800 at the first). At the last, a million of the messages are not due yet, some due before others that are ready, and the history has ten million.',
  units: {
    p50shallow: 'ms',
    p99shallow: 'ms',
    p50middle: 'ms',
    p99middle: 'ms',
    p50deep: 'ms',
    p99deep: 'ms',
  },
  systems: ['pgqrs', 'pg-boss-best'],
  asked: [
    within(['p99deep', 'p99shallow'], { text: 'p99 at 5,000,000: at 1,000', atMost: 2 }),
    within(['p99middle', 'p99shallow'], { text: 'p99 at 1,000,000: at 1,000', atMost: 2 }),
  ],
  // Fifteen million rows each; what is measured are thousands of calls.
  mostRounds: 1,
  alone: true,
  async run(stage) {
    const size = (full: number) => Math.max(1_000, Math.round(full * stage.scale))
    const samples = stage.size(2_000, 500)
    await stage.fillDeep({ ready: 1_000 })
    const shallow = await dequeues(stage, Math.min(800, samples))
    stage.progress(0.1)
    await stage.fillDeep({ ready: size(1_000_000) })
    stage.progress(0.25)
    const middle = await dequeues(stage, samples)
    await stage.fillDeep({ ready: size(3_000_000), delayed: size(1_000_000), archived: size(10_000_000) })
    stage.progress(0.9)
    const deepest = await dequeues(stage, samples)
    return {
      values: {
        p50shallow: shallow.p50,
        p99shallow: shallow.p99,
        p50middle: middle.p50,
        p99middle: middle.p99,
        p50deep: deepest.p50,
        p99deep: deepest.p99,
      },
      latency: { 'of 1,000': shallow, 'of 1,000,000': middle, 'of 5,000,000': deepest },
    }
  },
}
