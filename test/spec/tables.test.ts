// One interface, four tables: the same cases for each.

import { describe, expect, expectTypeOf, test } from 'vitest'
import type { ArchivedMessage, Message, QueueInfo, WorkerInfo } from '../../src/index.js'
import {
  PgqrsArchiveTable,
  PgqrsMessages,
  PgqrsQueues,
  PgqrsWorkers,
  type Table,
} from '../../src/tables/index.js'
import { spec } from '../harness/spec.js'

const it = spec()
type Row = { id: string }
type AnyTable = Table<Row, never>

interface Kind {
  name: string
  open: () => AnyTable
  /** A good new row of that queue. */
  row: (queueId: string, n: number) => object
  /** What is the same in the stored row. */
  kept: (n: number) => object
  bad: object[]
  /** Whether many rows belong to a queue. */
  many: boolean
  newestFirst?: boolean
}

const kinds: Kind[] = [
  {
    name: 'PgqrsQueues',
    open: () => new PgqrsQueues(it.admin.pool) as unknown as AnyTable,
    row: (queueId, n) => ({ name: `table_${queueId}_${n}`, maxAttempts: 2 + n }),
    kept: (n) => ({ maxAttempts: 2 + n }),
    bad: [{}, { name: 'a b' }, { name: 'ok', maxAttempts: 0 }],
    many: false,
  },
  {
    name: 'PgqrsWorkers',
    open: () => new PgqrsWorkers(it.admin.pool) as unknown as AnyTable,
    row: (queueId, n) => ({ queueId, hostname: `host-${n}`, pid: n, name: 'w' }),
    kept: (n) => ({ hostname: `host-${n}`, pid: n, name: 'w', state: 'ready' }),
    bad: [{ queueId: '1' }, { queueId: '1', hostname: '' }, { queueId: '1', hostname: 'h', pid: 1.5 }],
    many: true,
  },
  {
    name: 'PgqrsMessages',
    open: () => new PgqrsMessages(it.admin.pool) as unknown as AnyTable,
    row: (queueId, n) => ({
      queueId,
      payload: { n },
      priority: 1,
      headers: { h: n },
      dueAt: new Date('2099-01-01'),
      maxAttempts: 9,
    }),
    kept: (n) => ({
      payload: { n },
      priority: 1,
      headers: { h: n },
      dueAt: new Date('2099-01-01'),
      maxAttempts: 9,
      attempt: 0,
    }),
    bad: [{ queueId: '1' }, { queueId: '1', payload: Number.NaN }, { queueId: '1', payload: 1, prio: 1 }],
    many: true,
  },
  {
    name: 'PgqrsArchiveTable',
    open: () => new PgqrsArchiveTable(it.admin.pool) as unknown as AnyTable,
    row: (queueId, n) => ({
      queueId,
      payload: { n },
      outcome: 'dead',
      lastError: 'x',
      archivedBy: 'me',
      attempt: 3,
      dequeuedAt: new Date(0),
    }),
    kept: (n) => ({
      payload: { n },
      outcome: 'dead',
      lastError: 'x',
      archivedBy: 'me',
      attempt: 3,
      dequeuedAt: new Date(0),
    }),
    bad: [{ queueId: '1' }, { queueId: '1', payload: undefined }, { queueId: '1', payload: 1, by: 'me' }],
    many: true,
    newestFirst: true,
  },
]

const insert = (table: AnyTable, row: object) => table.insert(row as never)

describe.each(kinds)('$name', (kind) => {
  async function filled(count: number) {
    const { id: queueId } = await it.admin.getQueue(await it.newQueue())
    const table = kind.open()
    const rows: Row[] = []
    for (let n = 0; n < count; n++) rows.push(await insert(table, kind.row(queueId, n)))
    return { table, rows, queueId: kind.many ? queueId : rows[0]!.id }
  }

  test('insert gives the row as it is stored, and get finds it', async () => {
    const { table, rows } = await filled(1)
    expect(rows[0]).toMatchObject(kind.kept(0))
    expect(await table.get(rows[0]!.id)).toEqual(rows[0])
    expect(await table.get(BigInt(rows[0]!.id))).toEqual(rows[0])
  })

  test('get of a row that is not there is null', async () => {
    expect(await kind.open().get('8999999999999999999')).toBeNull()
  })

  test('delete says whether there was such a row', async () => {
    const { table, rows } = await filled(1)
    expect(await table.delete(rows[0]!.id)).toBe(true)
    expect(await table.delete(rows[0]!.id)).toBe(false)
    expect(await table.get(rows[0]!.id)).toBeNull()
  })

  test('count counts all rows, countByFk those of one queue', async () => {
    const { table, queueId } = await filled(3)
    expect(await table.countByFk(queueId)).toBe(kind.many ? 3 : 1)
    expect(await table.countByFk('8999999999999999999')).toBe(0)
    const before = await table.count()
    await filled(2)
    expect(await table.count()).toBe(before + (kind.many ? 2 : 3))
  })

  test('filterByFk lists the rows of one queue, in pages', async () => {
    const { table, rows, queueId } = await filled(4)
    const own = kind.newestFirst ? rows.toReversed() : rows
    expect(await table.filterByFk(queueId)).toEqual(kind.many ? own : [rows[0]])
    expect(await table.filterByFk(queueId, { limit: 2, offset: 1 })).toEqual(kind.many ? own.slice(1, 3) : [])
    expect(await table.filterByFk('8999999999999999999')).toEqual([])
  })

  test('list goes by id, in pages, and has an end', async () => {
    const { table, rows } = await filled(5)
    const all = await table.list({ limit: 10_000 })
    expect(all.map(({ id }) => BigInt(id))).toEqual(
      all.map(({ id }) => BigInt(id)).toSorted((a, b) => (a < b ? -1 : 1)),
    )
    expect(all).toEqual(expect.arrayContaining(rows))
    const paged: Row[] = []
    for (let offset = 0; ; offset += 2) {
      const page = await table.list({ limit: 2, offset })
      paged.push(...page)
      if (page.length < 2) break
    }
    expect(paged).toEqual(all)
  })

  test('gives 100 rows at most where no limit is given', async () => {
    const { table } = await filled(101)
    expect(await table.list()).toHaveLength(100)
  })

  test.each([{ limit: 0 }, { limit: 10_001 }, { limit: 1.5 }, { offset: -1 }, { limit: '5' }, { page: 2 }])(
    'refuses the page %o',
    async (page) => {
      const refusal = { code: 'ARGUMENT_INVALID' }
      await expect(kind.open().list(page as object)).rejects.toMatchObject(refusal)
      await expect(kind.open().filterByFk('1', page as object)).rejects.toMatchObject(refusal)
    },
  )

  test.each(kind.bad)('refuses the row %o', async (row) => {
    await expect(insert(kind.open(), row)).rejects.toMatchObject({ code: expect.stringMatching(/_INVALID$/) })
  })

  test.each(['x', '', '-1', '1.5', -1, 1.5, 2 ** 53, 2n ** 63n, null, {}])(
    'refuses %s as an id',
    async (id) => {
      for (const call of ['get', 'delete', 'countByFk', 'filterByFk'] as const)
        await expect(kind.open()[call](id as string)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    },
  )

  test.runIf(kind.many)('refuses a row of a queue that does not exist', async () => {
    await expect(insert(kind.open(), kind.row('8999999999999999999', 0))).rejects.toMatchObject({
      code: 'QUEUE_NOT_FOUND',
    })
  })
})

describe('PgqrsQueues', () => {
  test('refuses a name that is taken, and a delete of a queue with messages', async () => {
    const name = await it.newQueue()
    const table = new PgqrsQueues(it.admin.pool)
    await expect(table.insert({ name })).rejects.toMatchObject({ code: 'QUEUE_EXISTS' })
    await it.pgqrs.producer(name).enqueue(1)
    const { id } = (await table.getByName(name))!
    await expect(table.delete(id)).rejects.toMatchObject({ code: 'QUEUE_NOT_EMPTY' })
    expect(await table.getByName('not_there')).toBeNull()
  })
})

describe('PgqrsMessages', () => {
  test('lists the messages of a queue in the order of delivery', async () => {
    const queue = await it.newQueue()
    for (const priority of [2, 0, 1]) await it.pgqrs.producer(queue).enqueue(priority, { priority })
    const { id } = await it.admin.getQueue(queue)
    const listed = await new PgqrsMessages(it.admin.pool).filterByFk(id)
    expect(listed.map(({ payload }) => payload)).toEqual([0, 1, 2])
  })

  test('inserts with the attempts of the queue, due now, where nothing else is said', async () => {
    const queue = await it.newQueue({ maxAttempts: 8 })
    const { id } = await it.admin.getQueue(queue)
    const row = await new PgqrsMessages(it.admin.pool).insert({ queueId: id, payload: 'x' })
    expect(row).toMatchObject({ maxAttempts: 8, priority: 0, headers: null })
    expect((await it.pgqrs.consumer(queue).dequeue())?.id).toBe(row.id)
  })
})

test('the tables have the types of their rows', () => {
  expectTypeOf<PgqrsQueues['get']>().returns.resolves.toEqualTypeOf<QueueInfo | null>()
  expectTypeOf<PgqrsWorkers['list']>().returns.resolves.toEqualTypeOf<WorkerInfo[]>()
  expectTypeOf<PgqrsMessages['filterByFk']>().returns.resolves.toEqualTypeOf<Message[]>()
  expectTypeOf<PgqrsArchiveTable['insert']>().returns.resolves.toEqualTypeOf<ArchivedMessage>()
})
