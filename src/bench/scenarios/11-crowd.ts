// 11: many consumers on one queue.
import { setTimeout as pause } from 'node:timers/promises'
import { Gate } from '../gate.js'
import { type Scenario, within } from '../scenario.js'
import type { CrewResult, Outcome, Stage } from '../stage.js'

/** Consumers, and over how many processes they are spread. */
const crowds = [
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 8],
  [16, 8],
  [32, 8],
] as const

/** So long it takes at most until what was handled is settled, too. */
const quietMs = 200

export const crowd: Scenario = {
  number: 11,
  name: '1 to 8 processes, 1 to 32 consumers on one queue',
  measures:
    'Steady state: 1, 2, 4, 8, 16 and 32 workers in 1 to 8 processes on one backlog, which is filled up before each. Each process first works off a share of some thousand messages, so that its code and its statements are warm, and waits; then all are let loose at once, and the clock runs from that starting signal to the last acknowledged settle, or to the limit of 8 s. The costs are those of 32 workers, warm-up included. Where no further processes can be started, all are in one.',
  units: Object.fromEntries([
    ...crowds.map(([consumers]) => [`at${consumers}`, 'messages/s']),
    ['peak', 'messages/s'],
  ]),
  systems: ['pgqrs', 'graphile-worker-best', 'pg-boss-best', 'bullmq-best'],
  asked: [within(['at32', 'peak'], { text: 'of the peak at 32 consumers', atLeast: 0.8 })],
  // Six crowds of each system, with processes of their own.
  mostRounds: 1,
  alone: true,
  async run(stage) {
    const values: Record<string, number> = {}
    let costs: Outcome['costs']
    const messages = stage.size(400_000, 150_000)
    let left = 0
    // In a quick run, the smallest, one in the middle and the largest.
    const played = stage.scale < 1 ? crowds.filter(([consumers]) => [1, 4, 32].includes(consumers)) : crowds
    for (const [n, [consumers, processes]] of played.entries()) {
      // No more than is missing: of a system that leaves most of it, little was taken.
      await stage.fill(messages - left)
      await stage.meter.begin()
      const { settled, ms, all } = await workTogether(stage, processes, consumers / processes, messages)
      left = Math.max(0, messages - all)
      values[`at${consumers}`] = (settled / ms) * 1_000
      // In the end, those of the largest crowd.
      costs = await stage.meter.costs(all)
      stage.progress((n + 1) / played.length)
    }
    values.peak = Math.max(...Object.values(values))
    return { values, costs }
  },
}

async function workTogether(
  stage: Stage,
  processes: number,
  workersEach: number,
  messages: number,
): Promise<CrewResult> {
  const warmUpMs = stage.seconds(6, 3) * 1_000
  const limitMs = stage.seconds(8, 3) * 1_000
  // For each process so many, and for each of its connections some.
  const share = Math.ceil(stage.size(4_000, 1_000) / Math.min(2, workersEach))
  if (stage.crew !== undefined) {
    const crew = { processes, workersEach, messages, share, warmUpMs, limitMs }
    const { clientSeconds, ...together } = await stage.crew(crew)
    stage.meter.stop(clientSeconds)
    return together
  }
  const systems = await Promise.all(Array.from({ length: processes * workersEach }, () => stage.open()))
  const gate = new Gate(share)
  await Promise.all(systems.map((system) => system.work?.(gate.handler())))
  const settledNow = async () => {
    const each = await Promise.all(systems.map((system) => system.settled?.(messages) ?? 0))
    return each.reduce((sum, one) => sum + one, 0)
  }
  const warm = performance.now() + warmUpMs
  while (gate.waiting < systems.length && performance.now() < warm) await pause(10)
  await pause(quietMs)
  const before = await settledNow()
  const begun = performance.now()
  gate.open()
  let all = before
  while (all < messages && performance.now() - begun < limitMs) {
    await pause(10)
    all = await settledNow()
    stage.progress(0)
  }
  const ms = performance.now() - begun
  stage.meter.stop()
  await Promise.all(systems.map((system) => stage.close(system)))
  return { settled: all - before, ms, all }
}
