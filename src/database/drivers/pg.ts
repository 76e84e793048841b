// The driver for the package `pg` (node-postgres): a pool of pgqrs or of the program's own.
import pg from 'pg'
import { PgqrsError } from '../../words/errors.js'
import { propertyOf } from '../../words/shown.js'
import type {
  Driver,
  Executor,
  Listener,
  Row,
  Statement,
  TransactionExecutor,
  TransactionLimits,
} from '../driver.js'
import { isConnectionError, isRefusal, translate } from '../sqlstates.js'
import { connectWithin } from './connects.js'
import { datesUnread, parserOf } from './pg-types.js'

interface Query {
  text: string
  values?: unknown[]
  name?: string
  types?: { getTypeParser: typeof parserOf }
  query_timeout?: number
}

/** As much of a client of `pg` as is used here. */
export interface PgClient {
  query(query: Query): Promise<{ rows: Row[] }>
  readonly processID?: number | null
}

export interface PgPoolClient extends PgClient {
  release(broken?: boolean): void
  readonly connection?: { readonly stream?: { destroy(): void } }
  on(event: 'error', listener: () => void): unknown
  off(event: 'error', listener: () => void): unknown
}

/** As much of a Pool of `pg` as is used here. */
export interface PgPool {
  connect(): Promise<PgPoolClient>
  end(): Promise<void>
  readonly totalCount: number
}

export function isPgPool(pool: unknown): pool is PgPool {
  return (
    typeof propertyOf(pool, 'totalCount') === 'number' &&
    typeof propertyOf(pool, 'connect') === 'function' &&
    typeof propertyOf(pool, 'end') === 'function'
  )
}

const listenTimeoutMs = 10_000
/** How long a goodbye may take: on a dead network it is never answered. */
const goodbyeMs = 1_000
/** A connection that says nothing for so long is asked by the system whether its other end is there. */
const keepAlive = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 }
const types = { getTypeParser: parserOf }
const begin = 'begin isolation level read committed'
/**
 * Of a transaction that a lease depends on: the server finds out within seconds that its client was cut off without a
 * word, and lets go of the row, which every claim passes over until then. By default that takes it two hours.
 */
const noticed =
  '; set local tcp_keepalives_idle = 5; set local tcp_keepalives_interval = 2; set local tcp_keepalives_count = 3'

/**
 * A connection that breaks tells the query that waits for it, and beside that says `error`; with no listener Node
 * ends the program. The pool listens while a connection is idle; while it is out, whoever took it has to.
 */
const toldByTheQuery = () => {}

export class PgDriver implements Driver {
  readonly #pool: PgPool
  readonly #naming: 'auto' | 'on' | 'off'
  /** Whether a connection goes straight to the server, so that the names of its statements are its own. */
  readonly #direct = new WeakMap<PgClient, boolean>()

  constructor(pool: PgPool, naming: 'auto' | 'on' | 'off' = 'auto') {
    this.#pool = pool
    this.#naming = naming
  }

  /** A pool of our own. Errors of idle connections are not the program's business: the pool replaces them. */
  static pool(options: { dsn: string; maxConnections: number; connectionTimeoutSeconds: number }): pg.Pool {
    const pool = new pg.Pool({
      connectionString: options.dsn,
      max: options.maxConnections,
      connectionTimeoutMillis: Math.ceil(options.connectionTimeoutSeconds * 1_000),
      ...keepAlive,
      application_name: 'pgqrs',
    })
    // Not enumerable, as pg does it with a password by itself: a pool that is logged does not show it.
    Object.defineProperty(pool.options, 'connectionString', { value: options.dsn, enumerable: false })
    pool.on('error', () => {})
    // For the transactions that the program makes on it, too.
    pool.on('connect', (client) => client.on('error', toldByTheQuery))
    return pool
  }

  get maxConnections(): number | null {
    const { max } = (this.#pool as { options?: { max?: unknown } }).options ?? {}
    return typeof max === 'number' && max > 0 ? max : null
  }

  /** Limits the time of a query. A pool of the program's own may have a limit that is shorter. */
  #limit(query: Query, timeoutMs: number | undefined): Query {
    if (timeoutMs === undefined) return query
    const own = (this.#pool as { options?: { query_timeout?: unknown } }).options?.query_timeout
    query.query_timeout = typeof own === 'number' && own > 0 ? Math.min(own, timeoutMs) : timeoutMs
    return query
  }

  async run(statement: Statement, values: readonly unknown[], timeoutMs?: number): Promise<Row[]> {
    const client = await this.#connect(timeoutMs)
    let broken = false
    try {
      return await this.#query(client, statement, values, await this.#mayName(client, timeoutMs), timeoutMs)
    } catch (error) {
      // What fails on this side, in the middle of a statement, leaves a connection that is out of step.
      broken = isConnectionError(error) || !(isRefusal(error) || error instanceof PgqrsError)
      throw translate(error)
    } finally {
      this.#release(client, broken)
    }
  }

  async transaction<T>(
    work: (tx: TransactionExecutor) => Promise<T>,
    { timeoutMs, until }: TransactionLimits = {},
  ): Promise<T> {
    const client = await this.#connect(timeoutMs, until)
    let broken = false
    let cut = () => {}
    // It does not wait for `work`, which may wait for a connection that this one keeps from it.
    const over = new Promise<never>((_, reject) => {
      cut = () => {
        broken = true
        sever(client)
        reject(until?.reason)
      }
    })
    over.catch(() => {})
    until?.addEventListener('abort', cut, { once: true })
    if (until?.aborted) cut()
    const say = async (text: string) => {
      await translated(client.query(this.#limit({ text }, timeoutMs)))
    }
    try {
      const named = await translated(this.#mayName(client, timeoutMs))
      await say(until === undefined ? begin : begin + noticed)
      const working = work({
        run: (statement, values, ownTimeoutMs = timeoutMs) =>
          translated(this.#query(client, statement, values, named, ownTimeoutMs)),
        script: async (text) => {
          await translated(client.query({ text }))
        },
        client,
      })
      const result = await Promise.race([working, over])
      await Promise.race([say('commit'), over])
      return result
    } catch (error) {
      // What `work` itself threw, be it the caller's own error, leaves as it is.
      broken ||= isConnectionError(error) || isConnectionError((error as { cause?: unknown } | null)?.cause)
      if (!broken)
        await say('rollback').catch(() => {
          broken = true
        })
      throw error
    } finally {
      until?.removeEventListener('abort', cut)
      this.#release(client, broken)
    }
  }

  enlist(tx: unknown): Executor {
    if (isPgPool(tx))
      throw new PgqrsError(
        'ARGUMENT_INVALID',
        'tx is a pool; its statements would not be in your transaction.',
        {
          hint: 'Take a client with pool.connect(), begin on it, and give that client as tx.',
        },
      )
    if (typeof propertyOf(tx, 'query') !== 'function')
      throw new PgqrsError('ARGUMENT_INVALID', 'tx is no client of the package pg.', {
        hint: 'Give the client on which you said begin.',
      })
    const client = tx as PgClient
    return {
      run: (statement, values, timeoutMs) =>
        translated(this.#query(client, statement, values, this.#direct.get(client) ?? false, timeoutMs)),
    }
  }

  async listen(listen: Statement, heard: (payload: string) => void, dsn?: string): Promise<Listener> {
    const client = new pg.Client({
      ...(dsn === undefined ? optionsOf(this.#pool) : { connectionString: dsn }),
      ...keepAlive,
      connectionTimeoutMillis: listenTimeoutMs,
      query_timeout: listenTimeoutMs,
      application_name: 'pgqrs listen',
    })
    let gone = () => {}
    const ended = new Promise<void>((resolve) => {
      gone = resolve
    })
    client.on('error', gone)
    client.on('end', gone)
    client.on('notification', ({ payload }) => heard(payload ?? ''))
    const close = async () => {
      const severed = setTimeout(() => sever(client), goodbyeMs)
      await client.end().catch(() => {})
      clearTimeout(severed)
    }
    try {
      await client.connect()
      await client.query(listen.text)
    } catch (error) {
      void close()
      throw translate(error)
    }
    return { ended, close }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #connect(timeoutMs?: number, until?: AbortSignal): Promise<PgPoolClient> {
    const client = await translated(connectWithin(this.#pool, timeoutMs, until))
    client.on('error', toldByTheQuery)
    return client
  }

  #release(client: PgPoolClient, broken: boolean): void {
    // At once: where the network is dead, the pool's goodbye would wait, and whoever waits for this place with it.
    if (broken) sever(client)
    // The pool listens again from here on, or lets the connection go.
    client.release(broken)
    client.off('error', toldByTheQuery)
  }

  async #query(
    client: PgClient,
    statement: Statement,
    values: readonly unknown[],
    named: boolean,
    timeoutMs?: number,
  ): Promise<Row[]> {
    const query = this.#limit({ text: statement.text, values: values as unknown[], types }, timeoutMs)
    if (named) query.name = statement.name
    return (await client.query(query)).rows
  }

  /**
   * A pooler in transaction mode hands one server connection to many clients, so a statement's name is met by
   * others. Such a pooler makes up the process id that it tells its clients; a server tells its own.
   */
  async #mayName(client: PgClient, timeoutMs?: number): Promise<boolean> {
    if (this.#naming !== 'auto') return this.#naming === 'on'
    let direct = this.#direct.get(client)
    if (direct === undefined) {
      const asked = "select pg_backend_pid() as pid, current_setting('DateStyle') as style"
      const { rows } = await client.query(this.#limit({ text: asked, types }, timeoutMs))
      // Now, and not after a statement whose answer cannot be read.
      if (!String(rows[0]?.style).startsWith('ISO')) throw datesUnread(`times as ${rows[0]?.style}`)
      direct = typeof client.processID === 'number' && client.processID === Number(rows[0]?.pid)
      this.#direct.set(client, direct)
    }
    return direct
  }
}

/** Without a goodbye: what waits for the connection fails. */
function sever(client: unknown): void {
  ;(client as PgPoolClient).connection?.stream?.destroy()
}

async function translated<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    throw translate(error)
  }
}

/** How a pool connects. What is secret in it is not enumerable. */
function optionsOf(pool: PgPool): pg.ClientConfig {
  const options = (pool as { options?: pg.ClientConfig }).options ?? {}
  const { connectionString, password, ssl } = options
  const secret = Object.entries({ connectionString, password, ssl }).filter(
    ([, value]) => value !== undefined,
  )
  return { ...options, ...Object.fromEntries(secret) }
}
