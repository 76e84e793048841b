// What cannot be meant is refused before anything is sent: with a PgqrsError that has a hint, whatever it is.

import { describe, expect, test } from 'vitest'
import { Config, Consumer, type PgqrsError, Producer, queue } from '../../src/index.js'
import { PgqrsArchiveTable, PgqrsMessages, PgqrsQueues, PgqrsWorkers } from '../../src/tables/index.js'
import { spec } from '../harness/spec.js'

// One connection, so that what a refused call did to it would show in the next.
const it = spec({ maxConnections: 1 })

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

/** Nothing that any call takes. */
const odd: Record<string, unknown> = {
  'an object without a prototype': Object.create(null),
  'an object that throws when it is printed': {
    toString() {
      throw new Error('not to be printed')
    },
  },
  'a cycle': cyclic,
  'a symbol': Symbol('odd'),
  'a NUL': 'a\u0000b',
  'half of a surrogate pair': '\ud800',
  'an invalid date': new Date(Number.NaN),
}

type Call = (value: never) => unknown

const calls: Record<string, Call> = {
  'an id': (value) => new PgqrsMessages(it.admin.pool).get(value),
  'the name of a queue': (value) => it.admin.createQueue(value),
  'the name of a queue to delete': (value) => it.admin.deleteQueue(value),
  'the id of a queue to delete': (value) => new PgqrsQueues(it.admin.pool).delete(value),
  'a producer’s queue': (value) => new Producer(it.admin.pool, value),
  'a schema': (value) => queue('emails', value),
  'a lease': (value) => new Consumer(it.admin.pool, 'emails').dequeue({ lease: value }),
  'a type': (value) => new Consumer(it.admin.pool, 'emails').dequeue({ type: value }),
  'a count': (value) => new Consumer(it.admin.pool, 'emails').dequeueBatch(value),
  archivedBy: (value) =>
    new Consumer(it.admin.pool, 'emails').archive({ id: '1', attempt: 1 }, { archivedBy: value }),
  'archivedBy of an operator': (value) =>
    new PgqrsMessages(it.admin.pool).archive('1', { archivedBy: value }),
  'a delay': (value) => new Producer(it.admin.pool, 'emails').enqueue(1, { delay: value }),
  at: (value) => new Producer(it.admin.pool, 'emails').enqueue(1, { at: value }),
  'ids to redrive': (value) => it.admin.deadLetters.redrive('emails', { ids: value }),
  dueAt: (value) => new PgqrsMessages(it.admin.pool).insert({ queueId: '1', payload: 1, dueAt: value }),
  enqueuedAt: (value) =>
    new PgqrsArchiveTable(it.admin.pool).insert({ queueId: '1', payload: 1, enqueuedAt: value }),
  outcome: (value) =>
    new PgqrsArchiveTable(it.admin.pool).insert({ queueId: '1', payload: 1, outcome: value }),
  lastError: (value) =>
    new PgqrsArchiveTable(it.admin.pool).insert({ queueId: '1', payload: 1, lastError: value }),
  'the name of a worker': (value) =>
    new PgqrsWorkers(it.admin.pool).insert({ queueId: '1', hostname: 'h', name: value }),
  'the host of a worker': (value) =>
    new PgqrsWorkers(it.admin.pool).insert({ queueId: '1', hostname: value }),
  onSuccess: (value) => new PgqrsQueues(it.admin.pool).insert({ name: 'odd', onSuccess: value }),
}

describe.each(Object.keys(calls))('for %s', (what) => {
  test.each(Object.keys(odd))('%s is refused with a hint', async (name) => {
    const refusal = Promise.resolve().then(() => (calls[what] as Call)(odd[name] as never))
    const error = await refusal.then(
      () => undefined,
      (thrown: PgqrsError) => thrown,
    )
    expect(error).toMatchObject({ code: 'ARGUMENT_INVALID', hint: expect.any(String) })
  })
})

test('a refused value leaves the connection as it was', async () => {
  const name = await it.newQueue()
  const messages = new PgqrsMessages(it.admin.pool)
  const { id: queueId } = await it.admin.getQueue(name)
  await expect(messages.archive('1', { archivedBy: cyclic as never })).rejects.toThrow()
  const { id } = await messages.insert({ queueId, payload: 1 })
  expect(await messages.archive(id, { archivedBy: 'ada' })).toBe(true)
})

test('a configuration says what is bad, though it is no JSON', () => {
  for (const value of [10n ** 30n, cyclic, Object.create(null), Symbol('odd')])
    expect(() => Config.fromDsn('postgresql://127.0.0.1', { maxConnections: value as never })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.any(String) }),
    )
})

test('a schema that is none is said to be none, whatever it is', () => {
  for (const none of [0, 5, '', 'zod', true, [], {}])
    expect(() => queue('emails', none as never)).toThrow(/is no Standard Schema/)
})

test.each([undefined, null, 5, 'row'])('the row %s is refused by each table', async (row) => {
  for (const Table of [PgqrsQueues, PgqrsWorkers, PgqrsMessages, PgqrsArchiveTable])
    await expect(new Table(it.admin.pool).insert(row as never)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.any(String),
    })
})

test('a misspelt tx is refused: the write would be outside of the transaction', async () => {
  for (const Table of [PgqrsQueues, PgqrsWorkers, PgqrsMessages, PgqrsArchiveTable]) {
    const table = new Table(it.admin.pool) as unknown as PgqrsQueues
    await expect(table.delete('1', { tr: {} } as never)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  }
  const queues = new PgqrsQueues(it.admin.pool)
  await expect(queues.insert({ name: 'kept' }, { tr: {} } as never)).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
  })
})
