// pgqrs_enqueue: the same from plain SQL, for triggers and other languages.

import { describe, expect, test } from 'vitest'
import { spec } from '../harness/spec.js'

const it = spec()

describe('pgqrs_enqueue', () => {
  test('adds a message and gives its id', async () => {
    const queue = await it.newQueue()
    const [row] = await it.sql<{ id: string }>(`select pgqrs_enqueue($1, '{"a": 1}') as id`, [queue])
    expect(await it.pgqrs.consumer(queue).dequeue()).toMatchObject({
      id: row!.id,
      payload: { a: 1 },
      headers: null,
      priority: 0,
      maxAttempts: 5,
    })
  })

  test('takes each option by name', async () => {
    const queue = await it.newQueue({ maxAttempts: 9 })
    await it.sql(`select pgqrs_enqueue($1, '1', priority => -5, headers => '{"h": 1}', max_attempts => 2)`, [
      queue,
    ])
    await it.sql(`select pgqrs_enqueue($1, '2')`, [queue])
    await it.sql(`select pgqrs_enqueue($1, '3', delay => '1 hour')`, [queue])
    await it.sql(`select pgqrs_enqueue($1, '4', due_at => '2099-01-01')`, [queue])
    await it.sql(`select pgqrs_enqueue($1, '5', due_at => '2001-01-01')`, [queue])
    expect(await it.pgqrs.consumer(queue).dequeueBatch()).toMatchObject([
      { payload: 1, priority: -5, headers: { h: 1 }, maxAttempts: 2 },
      { payload: 2, maxAttempts: 9 },
      { payload: 5 },
    ])
    expect((await it.admin.queueMetrics(queue)).delayedCount).toBe(2)
  })

  test('is a part of the transaction that calls it', async () => {
    const queue = await it.newQueue()
    await it.transaction('rollback', (tx) => tx.query(`select pgqrs_enqueue($1, '"gone"')`, [queue]))
    await it.transaction('commit', (tx) => tx.query(`select pgqrs_enqueue($1, '"there"')`, [queue]))
    expect((await it.pgqrs.consumer(queue).dequeueBatch()).map(({ payload }) => payload)).toEqual(['there'])
  })

  test('works from a trigger: one commit for the row and its message', async () => {
    const queue = await it.newQueue()
    await it.sql(`
      create table users (id int primary key, name text);
      create function welcome() returns trigger language plpgsql as $$
      begin
        perform pgqrs_enqueue('${queue}', jsonb_build_object('user', new.id, 'name', new.name));
        return new;
      end $$;
      create trigger welcome after insert on users for each row execute function welcome()`)
    await it.sql(`insert into users values (1, 'Ada'), (2, 'Grace')`)
    await expect(it.sql(`insert into users values (3, 'Edsger'), (1, 'again')`)).rejects.toThrow(
      /duplicate key/,
    )
    expect((await it.pgqrs.consumer(queue).dequeueBatch()).map(({ payload }) => payload)).toEqual([
      { user: 1, name: 'Ada' },
      { user: 2, name: 'Grace' },
    ])
  })

  test('works for thousands of rows in one statement, and keeps their order', async () => {
    const queue = await it.newQueue()
    await it.sql(`select pgqrs_enqueue($1, to_jsonb(n)) from generate_series(1, 3000) n`, [queue])
    const taken = await it.pgqrs.consumer(queue).dequeueBatch(3_000)
    expect(taken.map(({ payload }) => payload)).toEqual(Array.from({ length: 3_000 }, (_, n) => n + 1))
  })

  test('works for a caller whose search_path has no pgqrs in it, and from another schema', async () => {
    const queue = await it.newQueue()
    await it.transaction('commit', async (tx) => {
      await tx.query('set local search_path = pg_catalog')
      await tx.query(`select public.pgqrs_enqueue($1, '1')`, [queue])
    })
    expect(await it.pgqrs.consumer(queue).dequeue()).not.toBeNull()
  })

  const errors: [what: string, call: string, code: string, message: RegExp][] = [
    [
      'a queue that does not exist',
      `pgqrs_enqueue('nowhere', '1')`,
      'PQ001',
      /queue 'nowhere' does not exist/,
    ],
    ['no queue', `pgqrs_enqueue(null, '1')`, 'PQ001', /does not exist/],
    ['no payload', `pgqrs_enqueue('errors', null)`, '22004', /payload is null/],
    [
      'headers that are no object',
      `pgqrs_enqueue('errors', '1', headers => '[1]')`,
      '22023',
      /headers must be a JSON object/,
    ],
    ['no attempts', `pgqrs_enqueue('errors', '1', max_attempts => 0)`, '23514', /max_attempts/],
  ]
  test.each(errors)('refuses %s, with a code and a reason', async (_, call, code, message) => {
    await it.admin.createQueue('errors')
    await expect(it.sql(`select ${call}`)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
    expect((await it.admin.queueMetrics('errors')).totalCount).toBe(0)
  })

  test('stores a JSON null where that is meant', async () => {
    const queue = await it.newQueue()
    await it.sql(`select pgqrs_enqueue($1, 'null'::jsonb)`, [queue])
    expect(await it.pgqrs.consumer(queue).dequeue()).toMatchObject({ payload: null })
  })
})
