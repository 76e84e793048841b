// A driver bound to a schema: the statements of sql/, by name. It rides on the pool that a program holds, so
// that `new Consumer(pool, queue)` needs no more than the pool.
import { createHash } from 'node:crypto'
import { PgqrsError } from '../words/errors.js'
import { schemaNameProblem } from '../words/names.js'
import { isA, shown } from '../words/shown.js'
import type {
  Driver,
  Executor,
  Listener,
  Row,
  Statement,
  TransactionExecutor,
  TransactionLimits,
} from './driver.js'
import { isPgPool, PgDriver, type PgPool } from './drivers/pg.js'
import { Notifier } from './notifier.js'
import { statements } from './sql.generated.js'

export type StatementName = keyof typeof statements

/** What a session and a whole database can both do: run a statement of sql/ by its name. */
export interface Session {
  readonly schema: string
  run(name: StatementName, values?: readonly unknown[]): Promise<Row[]>
}

export interface TransactionSession extends Session {
  /** Runs one of the migration scripts, with the schema's name put in. */
  script(sql: string): Promise<void>
  /** The driver's own client, for statements of the caller's own in this transaction. */
  readonly client: unknown
}

/** What the classes above take from the configuration when they are given a pool alone. */
export interface Defaults {
  readonly schema: string
  readonly defaultLockTimeSeconds: number
  readonly defaultMaxBatchSize: number
  readonly callTimeoutSeconds: number
  readonly preparedStatements?: 'auto' | 'on' | 'off'
}

const builtIn: Defaults = {
  schema: 'public',
  defaultLockTimeSeconds: 5,
  defaultMaxBatchSize: 100,
  callTimeoutSeconds: 60,
}
const notifyTimeoutMs = 10_000
const rider = Symbol.for('pgqrs.database')

export class Database implements Session {
  readonly driver: Driver
  readonly defaults: Defaults
  /** Wakes workers; says nothing of what is not committed. */
  readonly notifier: Notifier
  readonly #statements = new Map<StatementName, Statement>()
  readonly #identifier: string
  readonly #literal: string
  readonly #mark: string

  constructor(driver: Driver, defaults: Defaults = builtIn) {
    const problem = schemaNameProblem(defaults.schema)
    if (problem !== null)
      throw new PgqrsError('CONFIG_INVALID', `schema: ${shown(defaults.schema, 63)}: ${problem}.`, {
        hint: 'Give the name of a schema of PostgreSQL, such as public.',
      })
    this.driver = driver
    this.defaults = defaults
    // With a limit: it is sent for news that is old by then, and must not keep a dead connection, or whoever closes.
    const limitMs = Math.min(notifyTimeoutMs, defaults.callTimeoutSeconds * 1_000)
    this.notifier = new Notifier((queues) => this.within(limitMs).run('notify', [queues]))
    this.#identifier = `"${defaults.schema.replaceAll('"', '""')}"`
    this.#literal = `'${defaults.schema.replaceAll("'", "''")}'`
    this.#mark = createHash('sha256').update(defaults.schema).digest('hex').slice(0, 8)
  }

  get schema(): string {
    return this.defaults.schema
  }

  /** The channel on which workers of this schema are woken. */
  get channel(): string {
    return `pgqrs_${this.#mark}`
  }

  /**
   * The database behind a pool: a pool of pgqrs brings it along; for a pool of the program's own one is made,
   * with the schema of `defaults` or `public`.
   * @throws PgqrsError ARGUMENT_INVALID when it is no pool
   */
  static of(pool: unknown, defaults: Partial<Defaults> = {}): Database {
    if (isA(pool, Database)) return pool
    if (!isPgPool(pool))
      throw new PgqrsError('ARGUMENT_INVALID', 'The pool is no pool.', {
        hint: 'Give admin.pool, or a Pool of the package pg.',
      })
    const brought = (pool as { [rider]?: Database })[rider]
    if (brought && (defaults.schema === undefined || defaults.schema === brought.schema)) return brought
    const driver = brought?.driver ?? new PgDriver(pool, defaults.preparedStatements)
    return new Database(driver, { ...builtIn, ...brought?.defaults, ...defaults })
  }

  /** Lets the pool bring this database along; the first one stays, where a program has several on one pool. */
  rideOn(pool: PgPool): void {
    if (!(rider in pool)) Object.defineProperty(pool, rider, { value: this })
  }

  /** With the limit of the configuration: without one, a call on a connection that is dead would wait for ever. */
  run(name: StatementName, values: readonly unknown[] = []): Promise<Row[]> {
    return this.driver.run(this.#statement(name), values, this.defaults.callTimeoutSeconds * 1_000)
  }

  /** The text of a statement as it is sent: for the benchmark, which runs some without the driver. */
  textOf(name: StatementName): string {
    return this.#statement(name).text
  }

  /** The same statements inside the caller's own transaction; the database itself where there is none. */
  in(tx: unknown): Session {
    return tx === undefined ? this : this.#session(this.driver.enlist(tx))
  }

  /** The same statements with a limit on the time of each; what is over it is DATABASE_UNAVAILABLE. */
  within(timeoutMs: number): Session {
    const run = (name: StatementName, values: readonly unknown[] = []) =>
      this.driver.run(this.#statement(name), values, timeoutMs)
    return { schema: this.schema, run }
  }

  /** Runs `work` in a transaction of its own. */
  transaction<T>(work: (session: TransactionSession) => Promise<T>, limits?: TransactionLimits): Promise<T> {
    const session = (tx: TransactionExecutor) => ({
      ...this.#session(tx),
      script: (sql: string) => tx.script(this.#render(sql)),
      client: tx.client,
    })
    return this.driver.transaction((tx) => work(session(tx)), limits)
  }

  /** Closes what the driver has opened. */
  async close(): Promise<void> {
    await this.notifier.close()
    await this.driver.close()
  }

  /** Hears which queues have news. */
  listen(heard: (queue: string) => void, dsn?: string): Promise<Listener> {
    return this.driver.listen(this.#statement('listen'), heard, dsn)
  }

  #session(executor: Executor): Session {
    return {
      schema: this.schema,
      run: (name, values = []) => executor.run(this.#statement(name), values),
    }
  }

  #statement(name: StatementName): Statement {
    let statement = this.#statements.get(name)
    if (statement === undefined) {
      statement = { name: `pgqrs_${name}_${this.#mark}`, text: this.#render(statements[name]) }
      this.#statements.set(name, statement)
    }
    return statement
  }

  /** The schema, and the channel that is named after it, differ between installations; they are put in here only. */
  #render(sql: string): string {
    // In one pass: a schema may be called like one of the places.
    const places: Record<string, string> = {
      ':"schema"': this.#identifier,
      ":'schema'": this.#literal,
      ':"channel"': `"${this.channel}"`,
      ":'channel'": `'${this.channel}'`,
    }
    return sql.replaceAll(/:"(?:schema|channel)"|:'(?:schema|channel)'/g, (place) => places[place] ?? place)
  }
}
