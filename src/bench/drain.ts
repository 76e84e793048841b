// What many scenarios do: work through a queue that was filled, with one process.
import { setTimeout as pause } from 'node:timers/promises'
import type { Costs } from './meter.js'
import type { Stage } from './stage.js'
import type { Handler, System, WorkOptions } from './system.js'

export interface Drained {
  /** Messages settled for each second. */
  readonly rate: number
  readonly settled: number
  readonly costs: Costs
}

export interface DrainOptions extends WorkOptions {
  /** As many as the queue was filled with. */
  messages: number
  handler?: Handler
  /** What was settled by then is counted. Default 10 s of the full size. */
  limitMs?: number
}

/**
 * The handler is called for each message by every system alike. The clock runs from the first call of a handler to
 * the moment at which the last settle is acknowledged; where the time is up before, it counts what was settled.
 */
export async function drain(stage: Stage, options: DrainOptions): Promise<Drained> {
  const {
    messages,
    handler,
    queues = 1,
    limitMs = Math.max(5, stage.seconds(10, 6)) * 1_000,
    ...work
  } = options
  const system = await stage.open(queues)
  await stage.meter.begin(system.counters)
  let called = 0
  let begun = 0
  const handle: Handler =
    handler === undefined
      ? () => {
          called += 1
          if (begun === 0) begun = performance.now()
        }
      : (payload) => {
          called += 1
          if (begun === 0) begun = performance.now()
          return handler(payload)
        }
  await system.work?.(handle, { ...work, queues })
  const until = performance.now() + limitMs
  let settled = 0
  while (performance.now() < until) {
    if (called >= messages) settled = (await system.settled?.(messages)) ?? 0
    if (settled >= messages) break
    // Asked rarely while handlers run, for asking costs the server something; then often.
    await pause(called >= messages ? 2 : 20)
    stage.progress(0.3 + (0.7 * called) / messages)
  }
  const ms = performance.now() - begun
  stage.meter.stop()
  settled = Math.max(settled, (await system.settled?.(messages)) ?? 0)
  return {
    settled,
    rate: begun === 0 ? 0 : (settled / ms) * 1_000,
    costs: await closed(stage, system, settled),
  }
}

/** Closes the system, and then reads what it cost; a server that is not PostgreSQL is read before. */
export async function closed(stage: Stage, system: System, messages: number): Promise<Costs> {
  const early = system.counters === undefined ? undefined : await stage.meter.costs(messages, system.counters)
  await stage.close(system)
  return early ?? stage.meter.costs(messages)
}
