// What nearly every test of the spec begins with: a database of its own for the file, pgqrs installed and
// connected, a queue with a new name for each test, and plain SQL beside the library.

import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import type { ConfigValues } from '../../src/config/fields.js'
import { Config, connect, type Pgqrs, type PgqrsAdmin } from '../../src/index.js'
import { freshDatabase } from './database.js'

type Values = readonly unknown[]

export interface Spec {
  /** For the library: through the pooler when the run has one. */
  dsn: string
  /** The server itself, for what needs a session of its own. */
  directDsn: string
  pgqrs: Pgqrs
  admin: PgqrsAdmin
  /** Plain SQL of somebody else, past the library, on a direct connection. */
  sql<Row = Record<string, string>>(text: string, values?: Values): Promise<Row[]>
  /** A pool of direct connections. */
  outside: pg.Pool
  /** Creates a queue with a name that no other test uses, and gives the name. */
  newQueue(options?: { maxAttempts?: number }): Promise<string>
  /** Begins a transaction on a client of the program's own, and ends it as told. */
  transaction<T>(end: 'commit' | 'rollback', work: (tx: pg.PoolClient) => Promise<T>): Promise<T>
  /** Lets the leases of a queue run out now, as if their time had passed. */
  expireLeases(queue: string): Promise<void>
}

/** For the whole file; call it at the top. What it gives is filled before the first test. */
export function spec(values: Partial<Omit<ConfigValues, 'dsn'>> = {}): Spec {
  const it = {} as Spec
  let queues = 0
  beforeAll(async () => {
    const { dsn, directDsn } = await freshDatabase({ installed: true })
    const pgqrs = await connect(Config.fromDsn(dsn, values))
    const outside = new pg.Pool({ connectionString: directDsn, max: 10 })
    outside.on('error', () => {})
    Object.assign(it, { dsn, directDsn, pgqrs, outside, admin: pgqrs.admin })
  })
  afterAll(async () => {
    await it.pgqrs?.close()
    await it.outside?.end()
  })
  it.sql = async (text, values) => (await it.outside.query(text, values as unknown[])).rows
  it.newQueue = async (options) => {
    queues += 1
    return (await it.admin.createQueue(`queue_${queues}`, options)).name
  }
  it.transaction = async (end, work) => {
    const client = await it.pgqrs.pool.connect()
    try {
      await client.query('begin')
      const result = await work(client)
      await client.query(end)
      return result
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  }
  it.expireLeases = async (queue) => {
    await it.sql(
      `update pgqrs_messages set leased_until = clock_timestamp() - interval '1 ms'
       where leased_until is not null and queue_id = (select id from pgqrs_queues where name = $1)`,
      [queue],
    )
  }
  return it
}
