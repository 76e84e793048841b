// What can happen to messages, as steps that are taken on the model and on the real database alike.

import fc from 'fast-check'
import { type Consumer, PgqrsError, type PgqrsMessages } from 'pgqrs'
import { expect } from 'vitest'
import type { OwnQueue } from '../../harness/own-queue.js'
import type { Delivered, Model } from './model.js'

export interface Real {
  own: OwnQueue
  consumers: readonly Consumer[]
  messages: PgqrsMessages
  /** As they were enqueued: a dead letter that is put back has them still. */
  born: Map<string, { priority: number; maxAttempts: number }>
}

type Taken = (model: Model, real: Real) => Promise<void>

class Step implements fc.AsyncCommand<Model, Real> {
  readonly #what: string
  readonly #take: Taken

  constructor(what: string, take: Taken) {
    this.#what = what
    this.#take = take
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    model.step += 1
    await this.#take(model, real)
    expect(await stateOf(real)).toEqual(expectedState(model))
  }

  toString(): string {
    return this.#what
  }
}

const step = <T>(name: string, given: fc.Arbitrary<T>, take: (given: T) => Taken) =>
  given.map((values) => new Step(`${name} ${JSON.stringify(values)}`, take(values)))

export const consumerCount = 3
const consumer = fc.integer({ min: 0, max: consumerCount - 1 })
const hours = (most: number) => fc.integer({ min: 0, max: most })
const hoursMs = (n: number) => n * 3_600_000

const enqueue = step(
  'enqueue',
  fc.record({
    count: fc.integer({ min: 1, max: 3 }),
    priority: fc.integer({ min: -1, max: 1 }),
    delay: hours(2),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
  }),
  ({ count, priority, delay, maxAttempts }) =>
    async (model, { own, born }) => {
      const options = { priority, delay: hoursMs(delay), maxAttempts }
      const made = await own.pgqrs.producer(own.queue).batchEnqueue(Array(count).fill({}), options)
      for (const { id } of made) {
        born.set(id, { priority, maxAttempts })
        model.enqueue(id, priority, delay, maxAttempts)
      }
    },
)

const claim = step(
  'claim',
  fc.record({ by: consumer, count: fc.integer({ min: 1, max: 4 }), lease: fc.integer({ min: 1, max: 2 }) }),
  ({ by, count, lease }) =>
    async (model, { consumers }) => {
      const got = await consumers[by]!.dequeueBatch(count, { lease: hoursMs(lease) })
      expect(got.map(({ id, attempt }) => ({ id, attempt }))).toEqual(model.claim(by, count, lease))
    },
)

/** Any delivery there ever was, by whichever consumer: rather one of a message that is still in the queue. */
const delivery = fc.record({ live: fc.nat({ max: 4 }).map((n) => n > 0), nth: fc.nat({ max: 40 }) })
type Chosen = { live: boolean; nth: number }

function chosen(model: Model, { live, nth }: Chosen): Delivered | undefined {
  const among = model.deliveries.filter(({ id }) => !live || model.live.has(id))
  return among[nth % Math.max(among.length, 1)]
}

type Settle = (consumer: Consumer, delivered: Delivered) => Promise<unknown>

/** One delivery is settled: the answer is the model's. */
function settling<T>(name: string, given: fc.Arbitrary<T>, real: (given: T) => Settle, model: Answer<T>) {
  return step(
    name,
    fc.record({ by: consumer, nth: delivery, given }),
    ({ by, nth, given }) =>
      async (m, r) => {
        const delivered = chosen(m, nth)
        if (delivered === undefined) return
        const answer = model(m, delivered, given)
        if (name !== 'extend') forget(m, by, delivered)
        expect(await real(given)(r.consumers[by]!, delivered)).toBe(answer)
      },
  )
}

type Answer<T> = (model: Model, delivered: Delivered, given: T) => unknown

function forget(model: Model, by: number, { id, attempt }: Delivered): void {
  if (model.remembered[by]?.get(id) === attempt) model.remembered[by].delete(id)
}

const settles = [
  settling(
    'archive',
    fc.constant(0),
    () => (c, d) => c.archive(d),
    (m, d) => m.archiveHeld(d),
  ),
  settling(
    'delete',
    fc.constant(0),
    () => (c, d) => c.delete(d),
    (m, d) => m.deleteHeld(d),
  ),
  settling(
    'release',
    hours(1),
    (delay) => (c, d) => c.release(d, { delay: hoursMs(delay) }),
    (m, d, delay) => m.releaseHeld(d, delay),
  ),
  settling(
    'extend',
    fc.constant(1),
    (by) => (c, d) => c.extendVisibility(d, hoursMs(by)),
    (m, d, by) => m.extendHeld(d, by),
  ),
  settling(
    'fail',
    fc.record({ delay: hours(1), dead: fc.boolean() }),
    ({ delay, dead }) =>
      (c, d) =>
        c.fail(d, 'no', { delay: hoursMs(delay), dead }),
    (m, d, { delay, dead }) => m.failHeld(d, delay, dead),
  ),
]

/** By the id alone: only the consumer that dequeued it knows the attempt. */
const archiveById = step(
  'archive by id',
  fc.record({ by: consumer, nth: delivery }),
  ({ by, nth }) =>
    async (model, { consumers }) => {
      const id = chosen(model, nth)?.id
      if (id === undefined) return
      const attempt = model.remembered[by]?.get(id)
      const answer = attempt !== undefined && model.archiveHeld({ id, attempt })
      model.remembered[by]?.delete(id)
      expect(await consumers[by]!.archive(id)).toBe(answer)
    },
)

/** Old deliveries, lost ones, and the same one twice, all in one statement. */
const settleBatch = step(
  'settle a batch',
  fc.record({ by: consumer, how: fc.constantFrom('archive', 'delete', 'release'), nths: fc.array(delivery) }),
  ({ by, how, nths }) =>
    async (model, { consumers }) => {
      const batch = nths.flatMap((nth) => chosen(model, nth) ?? [])
      const answers = batch.map((one) => {
        if (how === 'archive') return model.archiveHeld(one)
        return how === 'delete' ? model.deleteHeld(one) : model.releaseHeld(one, 0)
      })
      for (const one of batch) forget(model, by, one)
      const settle = { archive: 'archiveBatch', delete: 'deleteBatch', release: 'releaseBatch' } as const
      expect(await consumers[by]![settle[how]](batch)).toEqual(answers)
    },
)

const anHourPasses = step('an hour passes', fc.constant(1), () => async (model, { own }) => {
  model.hour += 1
  await own.sql(
    `update pgqrs_messages set due_at = due_at - interval '1 hour', leased_until = leased_until - interval '1 hour'`,
  )
})

const remove = step(
  'an operator removes',
  fc.record({ nth: delivery, archive: fc.boolean(), force: fc.boolean() }),
  ({ nth, archive, force }) =>
    async (model, { messages }) => {
      const id = chosen(model, nth)?.id ?? [...model.live.keys()][0]
      if (id === undefined) return
      const removed = archive ? messages.archive(id, { force }) : messages.delete(id, { force })
      const answer = await removed.catch((error) => PgqrsError.is(error, 'MESSAGE_HELD') && 'held')
      expect(answer).toBe(model.remove(id, archive, force))
    },
)

const redrive = step('redrive', fc.constant(0), () => async (model, { own, born }) => {
  const put = await own.pgqrs.admin.deadLetters.redrive(own.queue)
  const bornAs = (id: string) => born.get(id) as { priority: number; maxAttempts: number }
  const expected = model.redrive(
    (id) => bornAs(id).maxAttempts,
    (id) => bornAs(id).priority,
  )
  expect(put.toSorted()).toEqual(expected.toSorted())
})

const purge = step(
  'purge',
  fc.constantFrom('queue', 'archive', 'all archive'),
  (what) =>
    async (model, { own }) => {
      const { admin } = own.pgqrs
      if (what === 'queue') {
        expect(await admin.purgeQueue(own.queue)).toBe(model.live.size)
        model.live.clear()
        return
      }
      const dead = what === 'all archive'
      const kept = model.archive.filter(({ outcome }) => !dead && outcome === 'dead')
      expect(await admin.purgeArchive(own.queue, { dead })).toBe(model.archive.length - kept.length)
      model.archive = kept
    },
)

/** Weighted by how often they are drawn: a life is mostly claims, settles and time. */
export const steps = [
  enqueue,
  enqueue,
  claim,
  claim,
  claim,
  anHourPasses,
  anHourPasses,
  ...settles,
  archiveById,
  settleBatch,
  remove,
  redrive,
  purge,
]

async function stateOf({ own }: Real) {
  const live = await own.sql(
    `select id, priority, attempt, given_back, max_attempts, leased_until is not null as held,
       coalesce(leased_until > clock_timestamp(), false) as leased, due_at <= clock_timestamp() as due
     from pgqrs_messages order by id`,
  )
  const archive = await own.sql('select id, attempt, outcome from pgqrs_archive order by id, attempt')
  return { live, archive }
}

function expectedState(model: Model) {
  const byId = (a: { id: string }, b: { id: string }) => Number(BigInt(a.id) - BigInt(b.id))
  const live = [...model.live.values()].sort(byId).map((message) => ({
    id: message.id,
    priority: message.priority,
    attempt: message.attempt,
    given_back: message.givenBack,
    max_attempts: message.maxAttempts,
    held: message.leasedUntil !== null,
    leased: (message.leasedUntil ?? model.hour) > model.hour,
    due: message.due[0] <= model.hour,
  }))
  return { live, archive: model.archive.toSorted(byId) }
}
