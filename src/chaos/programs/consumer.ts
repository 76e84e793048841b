// Consumers by hand in a process of their own: they dequeue, sometimes take longer than their lease, and settle. One
// alone drains the lane whose order is judged.

import type { Lane } from '../system.js'
import { later, type Program, program, reason } from './program.js'

const atOnce = 4
const idleMs = 30

await program(async (given) => {
  const { settings } = given
  const state = { stopping: false }
  const loops: Promise<void>[] = Array.from({ length: atOnce }, () => loop(given, state, () => byHand(given)))
  if (settings.ordered) loops.push(loop(given, state, () => inOrder(given)))
  return {
    async stop() {
      state.stopping = true
      await Promise.all(loops)
    },
  }
})

async function loop(
  { history }: Program,
  state: { stopping: boolean },
  step: () => Promise<boolean>,
): Promise<void> {
  while (!state.stopping)
    try {
      if (!(await step())) await later(idleMs)
    } catch (error) {
      history.write({ e: 'trouble', why: reason(error) })
      await later(100)
    }
}

/** Some messages, each settled in another way, some of them after the lease. */
async function byHand(given: Program): Promise<boolean> {
  const { random, settings } = given
  const held = await take(given, 'hand', random.whole(1, 4))
  if (held.length === 0) return false
  const late = random.chance(0.2)
  await later(late ? settings.handLeaseMs * (1.1 + random.next()) : random.whole(0, 40))
  for (const one of held) {
    const how = random.weighted({ archive: 70, delete: 12, release: 8, fail: 10 })
    await settle(given, 'hand', one, how)
  }
  return true
}

async function inOrder(given: Program): Promise<boolean> {
  const [one] = await take(given, 'ordered', 1)
  if (one === undefined) return false
  await settle(given, 'ordered', one, 'archive')
  return true
}

type Held = Awaited<ReturnType<NonNullable<Program['client']['take']>>>[number]

async function take({ client, history, settings }: Program, lane: Lane, count: number): Promise<Held[]> {
  const held = (await client.take?.(lane, count, settings.handLeaseMs)) ?? []
  for (const { id, attempt, payload } of held) history.write({ e: 'began', id, attempt, key: payload.key })
  return held
}

async function settle(
  { client, history }: Program,
  lane: Lane,
  held: Held,
  how: 'archive' | 'delete' | 'release' | 'fail',
): Promise<void> {
  const { id, attempt } = held
  const told = await client.settle?.(lane, held, how)
  if (told !== undefined) history.write({ e: 'told', id, attempt, how: told })
}
