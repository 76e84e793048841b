// Takes every step from every world that can be reached, on the model and on the real database, until they differ or
// nothing new is found. Worlds of which everything that may follow is the same are one.

import { isDeepStrictEqual } from 'node:util'
import { type Stage, stateOf, tell } from './stage.js'
import type { Answer, Op, Step, World } from './world.js'

export interface Bounds {
  /** Steps from a root at most. */
  depth: number
  /** Whether clients may leave their transactions open, and how many statements one of them has at most. */
  statements: number
  /** What a client may do. */
  ops: (world: World) => Op[]
  /** While a message has had so many attempts, nothing is claimed. */
  attempts: number
  /** While a lease or a delay is so many hours long, none is made longer. Default 3. */
  hours?: number
}

export interface Explored {
  worlds: number
  steps: number
  /** Steps that had to wait for a lock. */
  waits: number
  /** What the two did not agree on: the way there, and what each said. */
  difference: string | null
}

interface Node {
  root: World
  path: { step: Step; expected: Map<number, Answer> }[]
  world: World
  depth: number
}

/** @param most steps, so that a search that finds nothing comes to an end */
export async function explore(
  stage: Stage,
  roots: readonly World[],
  bounds: Bounds,
  most = Number.POSITIVE_INFINITY,
): Promise<Explored> {
  const seen = new Set(roots.map(({ key }) => key))
  let nodes: Node[] = roots.map((root) => ({ root, path: [], world: root, depth: 0 }))
  const explored: Explored = { worlds: nodes.length, steps: 0, waits: 0, difference: null }
  while (nodes.length > 0) {
    const next: Node[] = []
    for (const node of nodes)
      for (const step of stepsOf(node.world, bounds)) {
        const world = node.world.copy()
        const expected = world.take(step)
        if (world.undecided) continue
        if (explored.steps >= most) return explored
        explored.steps += 1
        if ('op' in step && !expected.has(step.by)) explored.waits += 1
        explored.difference = await tried(stage, node, step, expected, world)
        if (explored.difference !== null) return explored
        if (seen.has(world.key)) continue
        seen.add(world.key)
        explored.worlds += 1
        const depth = node.depth + 1
        if (depth >= bounds.depth) continue
        if (world.quiet) next.push({ root: world, path: [], world, depth })
        else next.push({ root: node.root, path: [...node.path, { step, expected }], world, depth })
      }
    nodes = next
  }
  return explored
}

async function tried(
  stage: Stage,
  { root, path }: Node,
  step: Step,
  expected: Map<number, Answer>,
  after: World,
): Promise<string | null> {
  await stage.put(root)
  const taken: Step[] = []
  const told = (difference: string) =>
    [`From ${JSON.stringify(stateOf(root))}`, ...taken.map(tell), difference].join('\n')
  for (const one of [...path, { step, expected }]) {
    taken.push(one.step)
    const difference = await compared(stage, one.step, one.expected)
    if (difference !== null) return told(difference)
  }
  const [state, wanted] = [await stage.state(), stateOf(after)]
  if (isDeepStrictEqual(state, wanted)) return null
  return told(`should lead to ${JSON.stringify(wanted)}\nand leads to ${JSON.stringify(state)}`)
}

/** Takes a step on the stage. What the answers should have been, when they were not. */
export async function compared(
  stage: Stage,
  step: Step,
  expected: Map<number, Answer>,
): Promise<string | null> {
  try {
    const answers = await stage.take(step, expected)
    if (isDeepStrictEqual(answers, expected)) return null
    return `should be answered ${show(expected)}, and is answered ${show(answers)}`
  } catch (error) {
    return `should be answered ${show(expected)}, and failed: ${(error as Error).message}`
  }
}

const show = (answers: Map<number, Answer>) => JSON.stringify([...answers])

/** What may happen next. Of clients that do nothing one stands for all. */
export function stepsOf(world: World, { ops, statements, attempts, hours = 3 }: Bounds): Step[] {
  const idle = world.clients.findIndex(({ open, waits }) => open === null && waits === null)
  const live = [
    ...world.live.values(),
    ...world.clients.flatMap(({ open }) => [...(open?.live.values() ?? [])].filter((one) => one !== null)),
  ]
  const done = new Set([
    ...(live.some(({ attempt }) => attempt >= attempts) ? ['claim'] : []),
    ...(live.some(({ until, due }) => Math.max(until ?? 0, due) >= world.hour + hours)
      ? ['extend', 'renew', 'postpone']
      : []),
  ])
  const now = ops(world).filter(({ op }) => !done.has(op))
  const steps: Step[] = [{ hour: true }]
  for (const [by, { open, waits }] of world.clients.entries()) {
    if (waits !== null) continue
    if (open !== null) {
      steps.push({ by, end: 'commit' }, { by, end: 'rollback' })
      if (open.statements < statements) steps.push(...now.map((op) => ({ by, open: true, op })))
    } else if (by === idle) {
      steps.push(...now.map((op) => ({ by, open: false, op })))
      if (statements > 0) steps.push(...now.map((op) => ({ by, open: true, op })))
    }
  }
  return steps
}

/** The attempts of a message that somebody may have been given: the last one there is, and the one before. */
function attemptsOf(world: World, id: number): number[] {
  const all = world.clients.flatMap(({ open }) => open?.live.get(id)?.attempt ?? [])
  const last = Math.max(world.live.get(id)?.attempt ?? world.archive.get(id)?.attempt ?? 0, ...all)
  return [last, last - 1].filter((attempt) => attempt > 0)
}

/** All there is. @param messages so many at most are enqueued */
export const everything =
  (messages: number) =>
  (world: World): Op[] => {
    const ops: Op[] = [
      ...Array.from({ length: messages }, (_, i): Op => ({ op: 'claim', count: i + 1 })),
      { op: 'redrive' },
      { op: 'bury' },
      { op: 'purge' },
      { op: 'purge archive' },
      { op: world.paused ? 'resume' : 'pause' },
    ]
    if (world.nextId <= messages) ops.push({ op: 'enqueue' })
    for (let id = 1; id < world.nextId; id++) {
      ops.push({ op: 'postpone', id })
      for (const archive of [true, false])
        for (const force of [true, false]) ops.push({ op: 'remove', id, archive, force })
      for (const attempt of attemptsOf(world, id)) ops.push(...settles(id, attempt))
    }
    return ops
  }

function settles(id: number, attempt: number): Op[] {
  const held = { id, attempt }
  return [
    { op: 'archive', ...held },
    { op: 'delete', ...held },
    { op: 'extend', ...held },
    ...[0, 1].map((delay): Op => ({ op: 'release', ...held, delay })),
    ...[1, 3].map((lease): Op => ({ op: 'renew', ...held, lease })),
    ...[0, 1, null].map((delay): Op => ({ op: 'fail', ...held, delay })),
  ]
}

/** One of each kind, where others of its kind take the same locks. */
export const oneOfEach =
  (messages: number) =>
  (world: World): Op[] => {
    const ops: Op[] = [{ op: 'claim', count: messages }, { op: 'redrive' }]
    for (let id = 1; id < world.nextId; id++) {
      ops.push({ op: 'postpone', id }, { op: 'remove', id, archive: true, force: false })
      for (const attempt of attemptsOf(world, id))
        ops.push(
          { op: 'archive', id, attempt },
          { op: 'release', id, attempt, delay: 0 },
          { op: 'renew', id, attempt, lease: 3 },
          { op: 'fail', id, attempt, delay: 0 },
          { op: 'fail', id, attempt, delay: null },
        )
    }
    return ops
  }

/** As few as make clients meet. */
export const few =
  (messages: number) =>
  (world: World): Op[] => {
    const ops: Op[] = [{ op: 'claim', count: messages }, { op: 'redrive' }]
    for (let id = 1; id < world.nextId; id++)
      for (const attempt of attemptsOf(world, id).slice(0, 1))
        ops.push(
          { op: 'archive', id, attempt },
          { op: 'release', id, attempt, delay: 0 },
          { op: 'fail', id, attempt, delay: null },
        )
    return ops
  }
