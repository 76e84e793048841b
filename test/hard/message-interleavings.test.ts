// Every interleaving of clients and their transactions, with the clock moved, against the real database: what it
// answers, what it changes, and who waits for whom are what the model says. message-life/README.md has it in words.

import { env } from 'node:process'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fenceOf } from '../harness/broken.js'
import {
  type Bounds,
  compared,
  everything,
  explore,
  few,
  oneOfEach,
  stepsOf,
} from './message-life/explore.js'
import { Stage, stateOf, tell } from './message-life/stage.js'
import { World } from './message-life/world.js'

/** `PGQRS_MODEL=full` goes as far as the bounds say, for some minutes. */
const full = env.PGQRS_MODEL === 'full'

async function stageFor(clients: number, ...changes: [name: string, part: string, by: string][]) {
  const stage = await Stage.open(clients, changes)
  onTestFinished(() => stage.close())
  return stage
}

/** A message: ready, leased, its lease run out, and run out on its last attempt. */
const moments = [{}, { attempt: 1, until: 2 }, { attempt: 1, until: 0 }, { attempt: 2, until: 0 }]
const roots = (clients: number) => moments.map((message) => new World(clients).put(1, message))

interface Search extends Bounds {
  what: string
  roots: World[]
}

const searches: Search[] = [
  {
    what: 'one client, one message, all that can be done',
    roots: [new World(1)],
    ...{ statements: 0, ops: everything(1), attempts: full ? 3 : 2, depth: full ? 100 : 6 },
  },
  {
    what: 'one client, two messages',
    roots: [new World(1)],
    ...{ statements: 0, ops: everything(2), attempts: 2, depth: full ? 6 : 4 },
  },
  {
    what: 'two clients with transactions, one message',
    roots: roots(2),
    ...{ statements: 1, ops: oneOfEach(1), attempts: 3, depth: full ? 6 : 3 },
  },
  {
    what: 'two clients with transactions, one message, all that can be done',
    roots: full ? roots(2) : roots(2).slice(1, 2),
    ...{ statements: 1, ops: everything(1), attempts: 3, depth: full ? 4 : 2 },
  },
  {
    what: 'two clients with transactions of two statements',
    roots: roots(2).slice(1, 2),
    ...{ statements: 2, ops: full ? oneOfEach(1) : few(1), attempts: 3, depth: 4 },
  },
  {
    what: 'two clients with transactions, two messages',
    roots: [new World(2).put(1, { attempt: 1, until: 2 }).put(2, {})],
    ...{ statements: 1, ops: full ? oneOfEach(2) : few(2), attempts: 3, depth: full ? 4 : 3 },
  },
  {
    what: 'three clients with transactions',
    roots: roots(3).slice(1, 2),
    ...{ statements: 1, ops: full ? oneOfEach(1) : few(1), attempts: 3, depth: 4 },
  },
]

describe('every step from every state, and what the model says of it', () => {
  test.each(searches)(
    '$what',
    async ({ roots, ...bounds }) => {
      const stage = await stageFor(roots[0]!.clients.length)
      const { difference, ...counts } = await explore(stage, roots, bounds)
      expect(difference).toBeNull()
      // A search in which nothing happens proves nothing.
      expect(counts.steps).toBeGreaterThan(200)
      if (bounds.statements > 0) expect(counts.waits).toBeGreaterThan(50)
    },
    full ? 3_600_000 : 120_000,
  )
})

/** A way through the worlds, by numbers that choose among what can be done. */
async function walk(stage: Stage, choices: readonly number[], bounds: Bounds): Promise<void> {
  const world = new World(3)
  await stage.put(world)
  const taken: string[] = []
  for (const choice of choices) {
    const steps = stepsOf(world, bounds).filter((step) => {
      const next = world.copy()
      next.take(step)
      return !next.undecided
    })
    const step = steps[choice % steps.length]!
    taken.push(tell(step))
    const difference = await compared(stage, step, world.take(step))
    expect(difference, taken.join('\n')).toBeNull()
    expect(await stage.state(), taken.join('\n')).toEqual(stateOf(world))
  }
}

test('three clients with open transactions go any long way, with three messages', async () => {
  const stage = await stageFor(3)
  const bounds = { depth: 0, statements: 3, ops: everything(3), attempts: 9, hours: 9 }
  const ways = fc.array(fc.nat({ max: 10_000 }), { minLength: 40, maxLength: 80, size: 'max' })
  await fc.assert(
    fc.asyncProperty(ways, (choices) => walk(stage, choices, bounds)),
    { numRuns: full ? 10_000 : 200, interruptAfterTimeLimit: full ? 300_000 : 15_000 },
  )
}, 600_000)

/** Where a mistake is to be seen: by one client with a message, by two with transactions, or with two messages. */
const seenBy: Record<string, Omit<Search, 'what'>> = {
  one: { roots: roots(1), statements: 0, ops: everything(1), attempts: 3, depth: 5 },
  two: { roots: roots(2), statements: 1, ops: oneOfEach(1), attempts: 3, depth: 4 },
  'two redriving': { roots: [new World(2).putDead(1)], statements: 1, ops: few(1), attempts: 3, depth: 3 },
  'two messages': { roots: [new World(1)], statements: 0, ops: everything(2), attempts: 2, depth: 4 },
}
/** What is wrong, who sees it, in which function, which part is replaced, and by what. */
type Change = [what: string, by: string, name: string, part: string, instead: string]

const held = 'and m.leased_until is not null'
const settles = ['take', 'delete_batch', 'release_held', 'extend_held', 'fail_batch', 'archive_held']

describe('it would be found out', () => {
  const changes: Change[] = [
    ...settles.map((name): Change => [`${name} asks for no attempt`, 'one', name, fenceOf(name), '']),
    ...settles.map((name): Change => [`${name} does not ask whether it is held`, 'one', name, held, '']),
    ['a renewal asks for no attempt', 'one', 'renew_held', fenceOf('renew_held'), ''],
    ['a lease that ran out is renewed', 'one', 'renew_held', 'and m.leased_until > public.model_now()', held],
    ['a renewal shortens a lease', 'one', 'renew_held', 'greatest(m.leased_until, ', 'greatest('],
    [
      'an extension counts from a time that is over',
      'one',
      'extend_held',
      'greatest(m.leased_until, public.model_now())',
      'm.leased_until',
    ],
    ['a claim does not look at leases', 'one', 'claim_batch', 'm.leased_until <= v_now', 'true'],
    [
      'a lease is over a moment late',
      'one',
      'claim_batch',
      'm.leased_until <= v_now',
      'm.leased_until < v_now',
    ],
    ['a claim does not look at what is due', 'one', 'claim_batch', 'and m.due_at <= v_now', ''],
    ['a message is due a moment late', 'one', 'claim_batch', 'm.due_at <= v_now', 'm.due_at < v_now'],
    ['a claim does not raise the attempt', 'one', 'claim_batch', 'm.attempt + 1', 'greatest(m.attempt, 1)'],
    ['attempts do not come to an end', 'one', 'claim_batch', '>= c.max_attempts', '> 1000'],
    ['a claim passes over a pause', 'one', 'claim_batch', 'if v_paused then', 'if false then'],
    ['a lease is twice as long', 'one', 'claim_batch', 'p_lease_ms * interval', 'p_lease_ms * 2 * interval'],
    [
      'messages come in another order',
      'two messages',
      'claim_batch',
      'order by m.due_at, m.id',
      'order by m.id desc',
    ],
    ['a claim waits for what is locked', 'two', 'claim_batch', 'for update skip locked', 'for update'],
    ['a claim locks nothing', 'two', 'claim_batch', 'for update skip locked', ''],
    ['what is given back counts', 'one', 'release_held', 'm.given_back + 1', 'm.given_back'],
    [
      'a failure counts no attempts',
      'one',
      'fail_batch',
      'and m.attempt - m.given_back < m.max_attempts',
      '',
    ],
    ['a redriven message begins to count anew', 'one', 'redrive', 't.attempt, t.attempt', '0, 0'],
    ['what succeeded is redriven', 'one', 'redrive', `a.outcome = 'dead'`, 'true'],
    ['a redrive waits for another', 'two redriving', 'redrive', 'for update skip locked', 'for update'],
    ['an operator takes what is held', 'one', 'remove', 'and not p_force', 'and false'],
    ['an operator does not lock what is looked at', 'two', 'remove', 'p_queue_id) for update', 'p_queue_id)'],
    ['what is leased on its last attempt is buried', 'one', 'bury_spent', 's.leased_until <= v_now', 'true'],
    [
      'a message is put off from a time that is over',
      'one',
      'postpone',
      'greatest(m.due_at, public.model_now())',
      'm.due_at',
    ],
  ]
  test.each(changes)(
    'if %s',
    async (_, by, name, part, instead) => {
      const { roots, ...bounds } = seenBy[by]!
      const stage = await stageFor(roots[0]!.clients.length, [`pgqrs_${name}`, part, instead])
      const { difference } = await explore(stage, roots, bounds)
      expect(difference).toMatch(/\bshould\b/)
    },
    120_000,
  )
})
