// What 1 and 2 do: enqueue for a while, in so many lanes.
import { closed } from './drain.js'
import type { Outcome, Stage } from './stage.js'
import type { System } from './system.js'

/** For so long as much as it takes; the clock stops when all that were begun are acknowledged. */
export async function enqueueFor(
  stage: Stage,
  lanes: number,
  one: (system: System) => (() => Promise<number>) | undefined,
): Promise<Outcome> {
  const system = await stage.open()
  const enqueue = one(system)
  if (enqueue === undefined) throw new Error('This system does not enqueue in this way.')
  // Connections are made and statements prepared before the clock starts.
  await Promise.all(Array.from({ length: lanes }, enqueue))
  await system.tidy?.()
  const ms = stage.seconds(5) * 1_000
  await stage.meter.begin(system.counters)
  const begun = performance.now()
  let count = 0
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (performance.now() - begun < ms) {
        const taken = await enqueue()
        count += taken
        stage.progress((performance.now() - begun) / ms)
      }
    }),
  )
  const seconds = (performance.now() - begun) / 1_000
  stage.meter.stop()
  return { values: { rate: count / seconds }, costs: await closed(stage, system, count) }
}
