// What 3, 4, 5, 12 and 13 do: a full queue of messages whose handler does nothing is worked through.
import { drain } from './drain.js'
import type { Outcome, Stage } from './stage.js'

export const messages = (stage: Stage) => stage.size(100_000, 60_000)

export async function noOps(stage: Stage): Promise<Outcome> {
  await stage.fill(messages(stage))
  const { rate, costs } = await drain(stage, { messages: messages(stage) })
  return { values: { rate }, costs }
}

export const clock =
  'the clock runs from the first call of a handler to the last acknowledged settle, or to the limit of 10 s'
