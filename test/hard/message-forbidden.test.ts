// What must never happen to a message, tried directly: by the functions of pgqrs, with every proof of holding a message
// that is not one, and by plain SQL, where the schema itself promises it. Each try changes nothing.

import pg from 'pg'
import { Consumer, PgqrsError, PgqrsMessages } from 'pgqrs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { renewLeases } from '../../src/consumer/settles.js'
import { Database } from '../../src/database/database.js'
import { type OwnQueue, ownQueue } from '../harness/own-queue.js'

type Held = { id: string; attempt: number }
/** Brings a message to where the try begins. What it gives is what the try shows as its proof. */
type Setting = (own: OwnQueue) => Promise<Held>

const lease = '1h'
const consumer = ({ pgqrs, queue }: OwnQueue) => new Consumer(pgqrs.pool, queue)

const ready: Setting = async ({ pgqrs, queue }) => {
  const { id } = await pgqrs.producer(queue).enqueue({})
  return { id, attempt: 0 }
}
const leased: Setting = async (own) => {
  await ready(own)
  const message = (await consumer(own).dequeue({ lease }))!
  return { id: message.id, attempt: message.attempt }
}
const then =
  (setting: Setting, more: (own: OwnQueue, held: Held) => Promise<unknown>): Setting =>
  async (own) => {
    const held = await setting(own)
    await more(own, held)
    return held
  }
const expired = then(leased, ({ sql }) => sql(`update pgqrs_messages set leased_until = clock_timestamp()`))
const settings: Record<string, Setting> = {
  'ready, and never delivered': ready,
  'ready, by the attempt that will come': async (own) => ({ ...(await ready(own)), attempt: 1 }),
  delayed: async (own) => {
    const { id } = await own.pgqrs.producer(own.queue).enqueue({}, { delay: '1h' })
    return { id, attempt: 0 }
  },
  'held, by the attempt that will come': async (own) => ({ ...(await leased(own)), attempt: 2 }),
  'released already': then(leased, (own, held) => consumer(own).release(held)),
  'failed already': then(leased, (own, held) => consumer(own).fail(held, 'no', { delay: 0 })),
  'dead already': then(leased, (own, held) => consumer(own).fail(held, 'no', { dead: true })),
  'archived already': then(leased, (own, held) => consumer(own).archive(held)),
  'deleted already': then(leased, (own, held) => consumer(own).delete(held)),
  'somebody else’s since': then(expired, (own) => consumer(own).dequeue({ lease })),
  'redriven since': then(leased, async (own, held) => {
    await consumer(own).fail(held, 'no', { dead: true })
    await own.pgqrs.admin.deadLetters.redrive(own.queue)
  }),
  'redriven, and somebody else’s since': then(leased, async (own, held) => {
    await consumer(own).fail(held, 'no', { dead: true })
    await own.pgqrs.admin.deadLetters.redrive(own.queue)
    await consumer(own).dequeue({ lease })
  }),
  'purged since': then(leased, ({ pgqrs, queue }) => pgqrs.admin.purgeQueue(queue)),
}

const settles: Record<string, (own: OwnQueue, held: Held) => Promise<unknown>> = {
  archive: (own, held) => consumer(own).archive(held),
  delete: (own, held) => consumer(own).delete(held),
  release: (own, held) => consumer(own).release(held),
  fail: (own, held) => consumer(own).fail(held, 'no'),
  'fail for good': (own, held) => consumer(own).fail(held, 'no', { dead: true }),
  extend: (own, held) => consumer(own).extendVisibility(held, '1h'),
  renew: async ({ pgqrs }, held) =>
    (await renewLeases(Database.of(pgqrs.pool), [{ ...held, leaseMs: 3_600_000 }]))[0],
}

const rows = ({ sql }: OwnQueue) =>
  Promise.all(
    ['queues', 'messages', 'archive'].map((table) => sql(`select * from pgqrs_${table} order by id, 2`)),
  )

describe('no settle by whoever does not hold the message', () => {
  test.each(Object.entries(settings))('when it is %s', async (_, setting) => {
    const own = await ownQueue()
    const held = await setting(own)
    const before = await rows(own)
    for (const [name, settle] of Object.entries(settles)) expect(await settle(own, held), name).toBe(false)
    expect(await rows(own)).toEqual(before)
  })

  test('and no renewal of a lease that has run out, though its late settle is accepted', async () => {
    const own = await ownQueue()
    const held = await expired(own)
    const before = await rows(own)
    expect(await settles.renew!(own, held)).toBe(false)
    expect(await rows(own)).toEqual(before)
    expect(await settles.archive!(own, held)).toBe(true)
  })
})

describe('no delivery', () => {
  const none: Record<string, Setting> = {
    'of what is leased': leased,
    'of what is delayed': settings.delayed as Setting,
    'of what is archived': settings['archived already'] as Setting,
    'of what is dead': settings['dead already'] as Setting,
    'from a queue that is paused': then(ready, ({ pgqrs, queue }) => pgqrs.admin.pauseQueue(queue)),
    'of what another transaction has claimed and not committed': then(ready, async (own) => {
      const tx = new pg.Client({ connectionString: own.directDsn })
      await tx.connect()
      onTestFinished(() => tx.end())
      await tx.query('begin')
      expect(await consumer(own).dequeue({ tx })).not.toBeNull()
    }),
  }
  test.each(Object.entries(none))('%s', async (_, setting) => {
    const own = await ownQueue()
    await setting(own)
    const before = await rows(own)
    expect(await consumer(own).dequeueBatch(10)).toEqual([])
    expect(await rows(own)).toEqual(before)
  })

  test('beyond the last attempt: it is dead, and has its error', async () => {
    const own = await ownQueue({ maxAttempts: 1 })
    const { id } = await expired(own)
    expect(await consumer(own).dequeue()).toBeNull()
    const [letter, ...more] = await own.pgqrs.admin.deadLetters.list(own.queue)
    expect(letter).toMatchObject({ id, attempt: 1, lastError: expect.stringContaining('ran out') })
    expect(more).toEqual([])
  })
})

describe('no redrive of what is no dead letter', () => {
  test.each(['archived already', 'deleted already', 'delayed', 'failed already'])('%s', async (name) => {
    const own = await ownQueue()
    const { id } = await (settings[name] as Setting)(own)
    const before = await rows(own)
    expect(await own.pgqrs.admin.deadLetters.redrive(own.queue, { ids: [id] })).toEqual([])
    expect(await rows(own)).toEqual(before)
  })
})

describe('by plain SQL: the schema refuses', () => {
  const refused: Record<string, string> = {
    'a message twice': `insert into pgqrs_messages select * from pgqrs_messages`,
    'a message of no queue': `insert into pgqrs_messages (queue_id, payload) values (999, '{}')`,
    'a message that goes to no queue': `update pgqrs_messages set queue_id = 999`,
    'a message without payload': `update pgqrs_messages set payload = null`,
    'a message with no attempt': `update pgqrs_messages set max_attempts = 0`,
    'a message with too many': `update pgqrs_messages set max_attempts = 1001`,
    'a message of no time': `update pgqrs_messages set due_at = null`,
    'an archived message of no queue': `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload)
       select id, 999, due_at, enqueued_at, payload from pgqrs_messages`,
    'an outcome that there is not': `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload, outcome)
       select id, queue_id, due_at, enqueued_at, payload, 'lost' from pgqrs_messages`,
    'the end of a queue with messages': `delete from pgqrs_queues`,
    'another id for a queue with messages': `update pgqrs_queues set id = id + 1`,
    'the end of all queues at once': `truncate pgqrs_queues cascade`,
  }
  test.each(Object.entries(refused))('%s', async (_, text) => {
    const own = await ownQueue()
    await leased(own)
    const before = await rows(own)
    await expect(own.sql(text)).rejects.toMatchObject({ code: expect.stringMatching(/^23/) })
    expect(await rows(own)).toEqual(before)
  })
})

test('an operator does not take what is held, unless by force', async () => {
  const own = await ownQueue()
  const { id } = await leased(own)
  const before = await rows(own)
  const messages = new PgqrsMessages(own.pgqrs.pool)
  for (const what of ['archive', 'delete'] as const)
    await expect(messages[what](id)).rejects.toSatisfy((error) => PgqrsError.is(error, 'MESSAGE_HELD'))
  expect(await rows(own)).toEqual(before)
})
