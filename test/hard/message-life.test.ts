// The whole life of messages, in any order of events, with several consumers and a clock that is moved: the
// database does what the model says, step by step.

import fc from 'fast-check'
import { Consumer, PgqrsMessages } from 'pgqrs'
import { expect, test } from 'vitest'
import { breakFunction, fenceOf } from '../harness/broken.js'
import { type OwnQueue, ownQueue } from '../harness/own-queue.js'
import { Model } from './message-life/model.js'
import { consumerCount, type Real, steps } from './message-life/steps.js'

function lives(own: OwnQueue) {
  const commands = fc.commands(steps, { maxCommands: 60, size: 'max' })
  return fc.asyncProperty(commands, async (taken) => {
    const { admin, pool } = own.pgqrs
    await admin.purgeQueue(own.queue)
    await admin.purgeArchive(own.queue, { dead: true })
    const real: Real = {
      own,
      consumers: Array.from({ length: consumerCount }, () => new Consumer(pool, own.queue)),
      messages: new PgqrsMessages(pool),
      born: new Map(),
    }
    await fc.asyncModelRun(() => ({ model: new Model(consumerCount), real }), taken)
  })
}

test('whatever happens to messages in whatever order, the database does what the model says', async () => {
  await fc.assert(lives(await ownQueue()), { numRuns: 300, interruptAfterTimeLimit: 15_000 })
})

test.each([
  ['an archive asks for the attempt', 'pgqrs_take', fenceOf('pgqrs_take'), ''],
  ['a delete asks for the attempt', 'pgqrs_delete_batch', fenceOf('pgqrs_delete_batch'), ''],
  ['a release asks for the attempt', 'pgqrs_release_held', fenceOf('pgqrs_release_held'), ''],
  ['an extension asks for the attempt', 'pgqrs_extend_held', fenceOf('pgqrs_extend_held'), ''],
  ['a failure asks for the attempt', 'pgqrs_fail_batch', fenceOf('pgqrs_fail_batch'), ''],
  ['a settle asks whether the message is held', 'pgqrs_release_held', 'and m.leased_until is not null', ''],
  ['a claim looks at leases', 'pgqrs_claim_batch', 'm.leased_until <= v_now', 'true'],
  [
    'a claim raises the attempt',
    'pgqrs_claim_batch',
    'attempt = m.attempt + 1',
    'attempt = greatest(m.attempt, 1)',
  ],
  ['attempts come to an end', 'pgqrs_claim_batch', 'c.attempt - c.given_back >= c.max_attempts', 'false'],
  ['what is given back does not count', 'pgqrs_release_held', 'm.given_back + 1', 'm.given_back'],
  ['a redriven message keeps its attempt', 'pgqrs_redrive', 't.attempt, t.attempt', '0, 0'],
  ['an operator asks for what is held', 'pgqrs_remove', 'and not p_force', 'and false'],
])('it would be found out if not: %s', async (_, name, part, by) => {
  const own = await ownQueue()
  await breakFunction(own.directDsn, name, part, by)
  // With a seed it takes the same few lives each time, on a slow machine too.
  const { failed } = await fc.check(lives(own), { numRuns: 500, seed: 4, endOnFailure: true })
  expect(failed).toBe(true)
})
